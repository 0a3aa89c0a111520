"""The measured times of a convolution with and without a bottleneck, run by a worker when asked for."""

import streamlit as st

from core.architectures.one_by_one import BottleneckCost, measure_bottleneck
from pages.parts.compute import compute
from pages.parts.figures import bar_chart, show
from pages.parts.inception.numbers import times_text

KEPT = "_bottleneck_times"
TIMEOUT_S = 120.0


def draw_times(cost: BottleneckCost) -> BottleneckCost:
    """Draw the button that measures, and what was measured for these sizes; returns the cost with its times."""
    if st.button("Measure both on this machine", key="bottleneck_measure", icon=":material/timer:"):
        with st.spinner("Measuring in a worker…", show_time=True):
            st.session_state[KEPT] = (cost, compute(measure_bottleneck, cost, timeout_s=TIMEOUT_S))
    made_for, measured = st.session_state.get(KEPT, (None, None))
    if measured is None or made_for != cost:
        st.caption(
            "Runs both ways in turn on the same random map, as compiled TensorFlow functions, for about two seconds, "
            "and shows the median time of a run."
        )
        return cost
    chart = bar_chart(
        {"time": (["without bottleneck", "with bottleneck"], [measured.direct_ms, measured.bottleneck_ms])},
        y_title="ms for one map",
        height_px=265,
    )
    chart.update_traces(texttemplate="%{y:.3g} ms", textposition="outside", cliponaxis=False)
    show(chart, key="bottleneck_times")
    st.caption(
        f"**{times_text(measured.direct_ms, measured.bottleneck_ms)}** faster with the bottleneck (median of "
        f"{measured.runs} runs each); the count says {times_text(measured.counted_ratio, 1)}. Starting two layers and "
        "reading memory take time too, which no multiplication counts."
    )
    return measured
