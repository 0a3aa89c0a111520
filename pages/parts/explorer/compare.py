"""Two to four networks side by side: parameters, multiply-adds, depth, year, and the error their papers report."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.architectures.catalog import APPLICATIONS, CATALOG, ReportedError
from core.architectures.exploration import ExploredNetwork
from core.architectures.summary import ModelSummary
from pages.parts import figures
from pages.parts.downloads import download_table
from pages.parts.explorer.choice import LABELS, Choice, explored
from pages.parts.explorer.layers import shape_text
from pages.parts.why.numbers import count_text, memory_text

MOST_OTHERS = 3
DEFAULTS = ("alexnet", "googlenet", "resnet50")
BAR_HEIGHT_PX = 195


@dataclass(frozen=True)
class Compared:
    """A network with its summary; year and error where its paper is in the catalogue."""

    label: str
    summary: ModelSummary
    year: int | None
    errors: tuple[ReportedError, ...]

    @property
    def error(self) -> ReportedError | None:
        """The error that most papers report: top-5 where there is one."""
        top5 = [error for error in self.errors if error.measure == "top-5"]
        return (top5 or list(self.errors) or [None])[0]


def view(choice: Choice, network: ExploredNetwork) -> None:
    """Draw the choice of the others, the bars and the table."""
    names = st.multiselect(
        "Beside it",
        [*CATALOG, *APPLICATIONS],
        default=[name for name in DEFAULTS if name != choice.name],
        format_func=LABELS.__getitem__,
        max_selections=MOST_OTHERS,
        key="beside",
        bind="query-params",
        help="One to three networks beside the one chosen above, each at the input size it was made for.",
    )
    entry = choice.entry
    first = Compared(choice.label, network.summary, entry.paper.year if entry else None, entry.errors if entry else ())
    others = [_compared(name) for name in names if name != choice.name]
    compared = [first, *(one for one in others if one is not None)]
    if len(compared) == 1:
        st.info("Choose one to three other networks.", icon=":material/compare_arrows:")
    _bars(compared)
    frame = table(compared)
    st.dataframe(
        frame, hide_index=True, key="compare_table", placeholder="not reported", alt="The networks side by side"
    )
    measures = {one.error.measure for one in compared if one.error is not None}
    if len(measures) > 1 or len({_data(one.error) for one in compared if one.error is not None}) > 1:
        st.caption(
            ":material/info: The errors were not measured in one way: compare only those of the same measure and data."
        )
    if any(not one.errors for one in compared):
        st.caption("The catalogue holds no paper for networks of keras.applications, and so no year and no error.")
    download_table(frame, name="networks_side_by_side", key="compare_csv")


def _data(error: ReportedError | None) -> str:
    return "" if error is None else error.conditions.split(",")[0]


def _compared(name: str) -> Compared | None:
    entry = CATALOG.get(name)
    label = entry.label if entry else name
    network = explored(Choice(name, label))
    if network is None:
        return None
    return Compared(label, network.summary, entry.paper.year if entry else None, entry.errors if entry else ())


def _bars(compared: list[Compared]) -> None:
    labels = [f"{one.label}<br>{one.year}" if one.year else one.label for one in compared]
    with_error = [(one, one.error) for one in compared if one.error is not None]
    charts = [
        ("Parameters", labels, [one.summary.parameters for one in compared]),
        ("Multiply-adds for one image", labels, [one.summary.multiply_adds for one in compared]),
        ("Depth (layers with weights)", labels, [one.summary.depth for one in compared]),
        (
            "Error in the paper (%)",
            [f"{one.label}<br>{error.measure}" for one, error in with_error],
            [error.percent for _, error in with_error],
        ),
    ]
    for row in (charts[:2], charts[2:]):
        for place, (title, categories, heights) in zip(st.columns(2, gap="medium"), row, strict=True):
            with place:
                chart = figures.bar_chart(
                    {title: (categories, heights)}, y_title="", title=title, height_px=BAR_HEIGHT_PX
                )
                figures.show(chart, key=f"bars_{title.split()[0].lower()}")


def table(compared: list[Compared]) -> pd.DataFrame:
    """The networks side by side, a row each."""
    return pd.DataFrame(
        [
            {
                "Network": one.label,
                "Year": one.year,
                "Input": shape_text(one.summary.input_shape),
                "Parameters": f"{one.summary.parameters:,}",
                "Multiply-adds": count_text(one.summary.multiply_adds),
                "Depth": one.summary.depth,
                "Layers": len(one.summary.layers),
                "Weights": memory_text(one.summary.weight_bytes),
                "Activations": memory_text(one.summary.activation_bytes),
                "Error reported": "; ".join(f"{e.percent:g} % {e.measure} ({e.conditions})" for e in one.errors)
                or None,
            }
            for one in compared
        ]
    ).astype({"Year": "Int64"})
