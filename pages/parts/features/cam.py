"""Grad-CAM: the places of a picture that speak for a class."""

import streamlit as st

from core.interpretation import tasks
from core.interpretation.mosaics import overlay_heat
from core.interpretation.types import ClassActivation, SubjectInfo
from core.runtime.images import display_jpeg
from pages.parts.downloads import download_array, download_picture
from pages.parts.features.choice import Chosen, answered_by, ask, network_control
from pages.parts.figures import bar_chart, sequential_heatmap, show
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input

STRONGEST = "strongest"


def view() -> None:
    """Draw the controls, the picture with its heat, and the classes."""
    above = st.container()
    controls, picture_place, classes_place = st.columns([0.9, 1.4, 1.3], gap="medium")
    with controls:
        chosen = network_control(above, key="cam_network", with_classes=True)
        if chosen is None:
            return
        info = chosen.info
        if not info.cam_layer:
            answered_by(info)
            with picture_place:
                st.info(info.why_no_cam, icon=":material/visibility_off:")
            return
        image = image_input(default="chelsea")
        names = [STRONGEST, *(str(number) for number in range(len(info.class_names)))]
        wanted = st.selectbox(
            "Look for",
            names,
            format_func=lambda name: "The strongest class" if name == STRONGEST else info.class_names[int(name)],
            key=f"cam_class_{info.name}",
            bind="query-params",
            help="The map answers: which places speak for this class? Also for classes that are not in the picture.",
        )
        strength = st.slider(
            "Heat over the picture", 0.0, 1.0, 0.55, 0.05, key="cam_strength", bind="query-params", help="0: none."
        )
        answered_by(info)
    with picture_place:
        answer = _answer(chosen, image, None if wanted in (None, STRONGEST) else int(wanted))
        if answer is None:
            return
        shown = overlay_heat(answer.view, answer.heat, strength)
        name = info.class_names[answer.class_id]
        st.image(display_jpeg(shown), width="stretch", alt=f"Where the network looks for {name} in {image.name}")
        if answer.heat.max() > 0:
            st.caption(f"Yellow: what speaks most for **{name}**, in {answer.layer}. The middle square is looked at.")
        else:
            st.caption(f"Nothing in this picture speaks for **{name}**: the map is zero everywhere.")
        with st.container(horizontal=True):
            download_picture(shown, name=f"grad_cam_{name}", key="cam_jpg", jpeg=True)
            download_array(answer.heat, name=f"grad_cam_{name}", key="cam_npy")
    with classes_place:
        series = {
            "probability": ([info.class_names[i] for i in answer.class_ids], [round(100 * p, 1) for p in answer.scores])
        }
        chart = bar_chart(series, y_title="probability, %", height_px=250)
        chart.update_traces(texttemplate="%{y:.1f}")
        show(chart, key="cam_scores")
        if info.name == "embedded":
            st.caption(
                "The backbone knows ten classes and nothing else: of any other picture it says the most alike. "
                "The detector knows people, vehicles and animals."
            )
        elif info.name == "detector":
            st.caption("Each class answers for itself, by its most certain cell; so these do not add up to one.")
    _mathematics(info, answer)


def _answer(chosen: Chosen, image: ChosenImage, class_id: int | None) -> ClassActivation | None:
    return ask(chosen, tasks.class_activation, image.pixels, class_id)


def _mathematics(info: SubjectInfo, answer: ClassActivation) -> None:
    with st.expander("From maps to the place", icon=":material/functions:"):
        rows, columns, channels = *answer.heat.shape, len(answer.channel_weights)
        strongest = int(answer.channel_weights.argmax())
        left, right = st.columns([1.5, 1], gap="medium")
        with left:
            formula(
                r"\alpha_k = \frac{1}{n_H n_W}\sum_{i,j} \frac{\partial y_c}{\partial A_{ijk}}",
                rf"\alpha_{{{strongest}}} = {number(float(answer.channel_weights[strongest]))}\quad"
                rf"(\text{{the largest of }}{channels})",
            )
            formula(
                r"L_{ij} = \mathrm{ReLU}\Big(\sum_k \alpha_k A_{ijk}\Big)",
                rf"\max_{{ij}} L_{{ij}} = {number(float(answer.heat.max()))}",
                explanation=f"A: the {channels} maps of {answer.layer}, {rows} × {columns} each; y_c: the logit of "
                f"{info.class_names[answer.class_id]}.",
            )
            st.code(
                "with tf.GradientTape() as tape:\n"
                "    maps, logits = reader(picture)      # the layer's output and the logits\n"
                "    tape.watch(maps)\n"
                "    y = logits[0, c]\n"
                "alpha = tf.reduce_mean(tape.gradient(y, maps)[0], axis=(0, 1))     # (channels,)\n"
                "heat = tf.nn.relu(tf.reduce_sum(maps[0] * alpha, axis=-1))         # (rows, columns)",
                language="python",
            )
        with right:
            show(sequential_heatmap(answer.heat, title="L", height_px=280), key="cam_heat")
