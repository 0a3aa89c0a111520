"""Several encoders side by side on the same two faces: distance, threshold, verdict, and how often each errs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.faces.encoders import encoders, is_here, measured
from core.faces.verification import distance
from pages.parts.downloads import download_table
from pages.parts.faces.answers import encoding_of

if TYPE_CHECKING:
    from pages.parts.faces.verify import Side


def encoder_table(first: Side, second: Side, shown: str, detector: str) -> None:
    """Draw the table of all encoders that are here; the faces are those that were found before."""
    rows = []
    for name, description in encoders().items():
        if not is_here(name):
            continue
        pair = [
            side.face
            if name == shown
            else encoding_of(side.pixels, side.sha256, name, detector, side.found.faces[side.chosen].face, side.chosen)
            for side in (first, second)
        ]
        if pair[0] is None or pair[1] is None:
            continue
        d = distance(pair[0].encoding, pair[1].encoding)
        known = measured(name)
        tau = float(st.session_state.get(f"tau_{name}", round(description.threshold, 2)))
        rates = None if known is None else known.pairs.at(tau)
        rows.append(
            {
                "Encoder": description.title,
                "Distance d": d,
                "Threshold τ": tau,
                "Verdict": "same person" if d <= tau else "different persons",
                "FAR %": None if rates is None else 100 * rates.false_accept,
                "FRR %": None if rates is None else 100 * rates.false_reject,
                "Right %": None if known is None else 100 * known.accuracy,
                "Reads": f"{description.input_px} × {description.input_px} px",
                "Numbers": description.dimensions,
            }
        )
    if not rows:
        return
    table = pd.DataFrame(rows)
    st.markdown("**The same two faces through every encoder that is here**, each at its own threshold")
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="face_encoders",
        column_config={
            "Distance d": st.column_config.NumberColumn(format="%.3f"),
            "Threshold τ": st.column_config.NumberColumn(format="%.2f"),
            "FAR %": st.column_config.NumberColumn(
                format="%.2f", help="Pairs of different persons that this threshold takes for one, of measured pairs."
            ),
            "FRR %": st.column_config.NumberColumn(
                format="%.2f", help="Pairs of one person that this threshold takes for two, of measured pairs."
            ),
            "Right %": st.column_config.NumberColumn(
                format="%.1f",
                help="Right answers on measured pairs, each tenth judged with the threshold of the other nine.",
            ),
        },
    )
    download_table(table, name="face_encoders", key="face_table_csv", label="Encoders (CSV)")
