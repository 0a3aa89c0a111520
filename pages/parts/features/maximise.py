"""An image for a unit: gradient ascent from noise, watched while it climbs."""

import numpy as np
import streamlit as st

from core.interpretation import tasks
from core.interpretation.maximisation import AscentSettings
from core.interpretation.types import MaximisedImage, SubjectInfo
from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from pages.parts.downloads import download_picture
from pages.parts.features.choice import (
    AT_ONCE_MULTIPLY_ADDS,
    answered_by,
    field_caption,
    layer_control,
    network_control,
)
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, job_view, metric_series, start_job
from pages.parts.pixels import format_number

JOB = "ascent"
BEGUN = "_ascent_begun"


def view() -> None:
    """Draw the controls and the climbing image."""
    above = st.container()
    controls, result = st.columns([0.9, 2.6], gap="medium")
    with controls:
        chosen = network_control(above)
        if chosen is None:
            return
        info = chosen.info
        layer = layer_control(info, default=5)
        channel = st.number_input(
            "Channel",
            0,
            layer.channels - 1,
            min(3, layer.channels - 1),
            key=f"ascent_channel_{info.name}_{layer.name}",
            help=f"0 to {layer.channels - 1}.",
        )
        settings = _settings_controls()
        before = current_job(JOB)
        asked = st.button(
            "Climb again from noise" if before else "Climb from noise",
            icon=":material/landscape:",
            type="primary",
            width="stretch",
            key="ascent_start",
        )
        # The first climb of a visit begins by itself where it is short.
        begins = not (before or st.session_state.get(BEGUN)) and info.multiply_adds <= AT_ONCE_MULTIPLY_ADDS
        if asked or begins:
            st.session_state[BEGUN] = True
            start_job(
                JOB,
                tasks.maximise_unit,
                chosen.subject,
                layer.name,
                int(channel),
                settings,
                title=f"An image for channel {channel} of {layer.name}, {info.label}",
            )
        answered_by(info)
        st.caption(field_caption(layer))
    with result:
        job = current_job(JOB)
        if job is None:
            _explain(info)
        job_view(JOB, draw_live=_draw_live, draw_result=_draw_result)
    if job is None or job.state not in ACTIVE:
        _mathematics(settings)


def _settings_controls() -> AscentSettings:
    steps = st.select_slider(
        "Steps",
        [24, 48, 96, 192, 384],
        96,
        key="ascent_steps",
        bind="query-params",
        help="Of gradient ascent, by Adam.",
    )
    with st.popover("What keeps it from noise", icon=":material/tune:", width="stretch"):
        variation = st.slider(
            "Total variation",
            0.0,
            4.0,
            0.3,
            0.1,
            key="ascent_tv",
            bind="query-params",
            help="Takes off for differences of neighbouring pixels. 0 switches it off: watch the noise come.",
        )
        contrast = st.slider(
            "Contrast",
            0.0,
            1.0,
            0.05,
            0.05,
            key="ascent_contrast",
            bind="query-params",
            help="Takes off for pixels far from grey. 0 switches it off.",
        )
        jitter = st.slider(
            "Jitter (px)",
            0,
            16,
            8,
            key="ascent_jitter",
            bind="query-params",
            help="Before each step the image is shifted by up to so many pixels, so that no single pixel matters.",
        )
        spectrum = st.toggle(
            "Write the image as its spectrum",
            value=True,
            key="ascent_spectrum",
            bind="query-params",
            help="Large shapes then move as easily as single pixels. Off: pixel by pixel, as in the first papers.",
        )
        target = st.segmented_control(
            "Climb",
            ["channel", "unit"],
            format_func={"channel": "Whole channel", "unit": "Middle unit"}.__getitem__,
            default="channel",
            required=True,
            key="ascent_target",
            bind="query-params",
            help="The mean of the channel's map fills the image; the unit in the middle fills its receptive field.",
        )
        seed = st.number_input("Seed", 0, 9999, 0, key="ascent_seed", bind="query-params", help="Of the first noise.")
    return AscentSettings(
        steps=int(steps),
        total_variation_weight=float(variation),
        contrast_weight=float(contrast),
        jitter_px=int(jitter),
        spectrum=bool(spectrum),
        target=target or "channel",
        seed=int(seed),
    )


def _explain(info: SubjectInfo) -> None:
    st.markdown(
        "Patches of photographs say what a unit **has** met; an image made for it says what it **would** like. "
        "Starting from noise, each step changes every pixel a little in the direction in which the unit answers more."
    )
    st.info(
        f"Press **Climb from noise**: the image appears while it is made, in a worker, from {info.label}.",
        icon=":material/landscape:",
    )


def _draw_live(job: JobView) -> None:
    image, curve = st.columns([1, 1.3], gap="medium")
    with image:
        if isinstance(job.preview, np.ndarray):
            st.image(display_jpeg(job.preview), width="stretch", alt="The image so far")
        else:
            st.caption("The first image comes with the first step.")
    with curve:
        series = metric_series(job)
        if series:
            show(line_chart(series, x_title="step", y_title="activation"), key="ascent_live")


def _draw_result(result: MaximisedImage, job: JobView) -> None:
    image, curve = st.columns([1, 1.3], gap="medium")
    with image:
        st.image(display_jpeg(result.pixels), width="stretch", alt=f"The image that was made: {job.title}")
        st.caption(job.title)
        download_picture(result.pixels, name="maximising_image", key="ascent_png")
    if not result.activation[-1] > 0:
        st.info(
            "The channel stayed silent: its ReLU is off for the first noise, and from there no gradient leads up. "
            "Try another seed, or a channel that photographs excite.",
            icon=":material/visibility_off:",
        )
    with curve:
        first, best, last = st.columns(3)
        first.metric(
            "Noise",
            format_number(result.start_activation, 2, negligible=0.01),
            help="The activation of the first image.",
        )
        if result.best_photograph_activation is not None:
            best.metric(
                "Best photograph",
                f"{result.best_photograph_activation:.3g}",
                help="The largest activation that one of the bundled photographs reaches, middle square.",
            )
        last.metric("This image", f"{result.activation[-1]:.3g}")
        steps = np.arange(1, len(result.activation) + 1)
        series = {"activation": (steps, result.activation)}
        if result.best_photograph_activation is not None:
            series["best photograph"] = (steps[[0, -1]], np.full(2, result.best_photograph_activation))
        show(line_chart(series, x_title="step", y_title="activation", markers=False), key="ascent_curve")


def _mathematics(settings: AscentSettings) -> None:
    with st.expander("What is climbed", icon=":material/functions:"):
        formula(
            r"J(x) = \frac{a(x)}{|a|} - \lambda_{TV}\,TV(x) - \lambda_c\,\overline{\left(\tfrac{x - 127.5}{127.5}"
            r"\right)^2},\qquad x = 255\,\sigma(z),\qquad z := z + \eta\,\mathrm{Adam}(\nabla_z J)",
            rf"\lambda_{{TV}} = {number(settings.total_variation_weight)},\quad \lambda_c = "
            rf"{number(settings.contrast_weight)},\quad \eta = {number(settings.rate)}",
            explanation="a is the activation that is climbed, counted relative to its own size so that one rate fits "
            "all layers; TV is the mean absolute difference of neighbouring pixels. σ keeps the image in 0 to 255.",
        )
        st.code(
            "z = tf.Variable(tf.random.normal((1, side, side, 3), stddev=0.1))\n"
            "for step in range(steps):\n"
            "    with tf.GradientTape() as tape:\n"
            "        x = 255 * tf.sigmoid(z)\n"
            "        a = tf.reduce_mean(reader(tf.roll(x, shift(), axis=(1, 2)))[..., channel])\n"
            f"        J = a / (tf.stop_gradient(abs(a)) + 1e-3) - {settings.total_variation_weight} * tv(x / 255) \\\n"
            f"            - {settings.contrast_weight} * tf.reduce_mean(((x - 127.5) / 127.5) ** 2)\n"
            "    optimizer.apply([-tape.gradient(J, z)], [z])",
            language="python",
        )
