"""The view of the start: how much of the gradient reaches each layer of a plain and of a residual network."""

import streamlit as st

from core.architectures import tasks
from core.architectures.gradient_flow import GradientFlow, GradientFlowSettings
from core.runtime.jobs import JobView
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_table
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, job_view, start_job
from pages.parts.kept_calls import kept_call
from pages.parts.residual.flow import draw_norms, network_controls, norms_control, norms_of, norms_table

JOB = "start_flow"
# Deeper networks take longer to build than a page should wait: they are a job.
DEEPEST_CALL = 14
TIMEOUT_S = 90.0


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        choice = network_controls("start", default_depth=8)
        settings = GradientFlowSettings(
            depth=choice.depth, steps=0, batch_norm=choice.batch_norm, initializer=choice.initializer, seed=choice.seed
        )
        asked = choice.depth > DEEPEST_CALL and st.button(
            f"Build both with {choice.depth} layers",
            key="start_build",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            help="Takes up to a minute; the page stays usable meanwhile.",
        )
    if asked:
        start_job(JOB, tasks.gradient_flow, settings, title=f"Gradients of {choice.depth} layers")
    with result:
        which = norms_control("start")
        if choice.depth <= DEEPEST_CALL:
            flow = kept_call(tasks.gradient_flow, settings, timeout_s=TIMEOUT_S)
            if flow is not None:
                _draw(flow, which)
        else:
            _draw_job(settings, which)
    st.subheader("The same as code", anchor=False)
    code_tabs(gradient_snippets(choice.depth - 2, choice.initializer), key="start_code")


def _draw_job(settings: GradientFlowSettings, which: str) -> None:
    job = current_job(JOB)

    def draw(flow: GradientFlow, _: JobView) -> None:
        if flow.settings != settings:
            st.info(
                f"What was computed last had {flow.settings.depth} layers or another start. Press the button to "
                "compute these.",
                icon=":material/info:",
            )
        _draw(flow, which)

    if job is None:
        st.info(
            f"Two networks of {settings.depth} layers take a while to build. Press the button to start.",
            icon=":material/info:",
        )
        return
    job_view(JOB, draw_live=_nothing_yet, draw_result=draw)
    if job.state in ACTIVE:
        st.caption("The chart comes when both networks are built.")


def _nothing_yet(_: JobView) -> None:
    """A job that looks at the start alone has nothing to show before its end."""


def _draw(flow: GradientFlow, which: str) -> None:
    plain, residual = flow.fading
    st.markdown(
        f"At the start, **{flow.settings.depth} layers**: of the gradient at the last hidden layer, "
        f"**{_share(plain)}** arrives at the first layer of the plain network, **{_share(residual)}** in the "
        "residual one."
    )
    draw_norms(norms_of(flow, which, 0), which, key="start_chart")
    st.caption(
        f"Norms over one batch of {flow.settings.batch_size} handwritten digits, {flow.parameters[0]:,} parameters "
        f"in the plain and {flow.parameters[1]:,} in the residual network, the same weights in both."
    )
    download_table(norms_table(flow), name=f"gradients_depth_{flow.settings.depth}", key="start_csv")
    formula(
        r"\text{plain: } \frac{\partial J}{\partial a^{[1]}} = \frac{\partial J}{\partial a^{[L]}} "
        r"\prod_{l} \frac{\partial a^{[l+1]}}{\partial a^{[l]}}",
        r"\text{residual: } \frac{\partial a^{[l+2]}}{\partial a^{[l]}} = g'\cdot"
        r"\Bigl(\frac{\partial z^{[l+2]}}{\partial a^{[l]}} + 1\Bigr)",
        rf"\text{{first / last, plain: }} {number(plain)}",
        rf"\text{{first / last, residual: }} {number(residual)}",
        explanation="A product of many factors below one vanishes, of many above one explodes. The shortcut adds 1 to "
        "each factor, so that the gradient reaches the early layers directly.",
    )


def _share(ratio: float) -> str:
    """A ratio as people read it.

    >>> _share(0.25), _share(0.000012), _share(12.5)
    ('25 %', '0.0012 %', '12.5 times as much')
    """
    return f"{ratio:.3g} times as much" if ratio > 1 else f"{100 * ratio:.2g} %"


def gradient_snippets(layers: int, initializer: str) -> dict[str, str]:
    """Programs that measure the gradient at the input of a plain and a residual stack; `result` has both norms."""
    return {
        "Keras": "import keras\nimport tensorflow as tf\n\n"
        f"def stack(residual, layers={layers}):\n"
        '    """Pairs of 3 x 3 convolutions on maps (16, 16, 8)."""\n'
        "    x = inputs = keras.Input((16, 16, 8))\n"
        "    for _ in range(layers // 2):\n"
        "        y = x\n"
        "        for activation in ('relu', None):\n"
        "            y = keras.layers.Conv2D(\n"
        f"                8, 3, padding='same', activation=activation, kernel_initializer='{initializer}'\n"
        "            )(y)\n"
        "        x = keras.layers.ReLU()(keras.layers.Add()([x, y]) if residual else y)\n"
        "    return keras.Model(inputs, x)\n\n\n"
        "images = tf.random.normal((8, 16, 16, 8))\n"
        "result = {}\n"
        "for residual in (False, True):\n"
        "    model = stack(residual)\n"
        "    with tf.GradientTape() as tape:\n"
        "        tape.watch(images)\n"
        "        loss = tf.reduce_mean(model(images))\n"
        "    gradient = tape.gradient(loss, images)\n"
        "    result['residual' if residual else 'plain'] = float(tf.norm(gradient))\n"
        "print(result)\n",
    }
