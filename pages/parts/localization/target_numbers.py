"""Below the boxes: y and ŷ element by element, the loss with its numbers put in, the code, the downloads."""

import numpy as np
import pandas as pd
import streamlit as st

from core.detection.localization import LocalizationLoss, LossKind, element_names
from core.detection.localization_snippets import compare_losses, loss_snippets, vector_lines
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_json, download_table
from pages.parts.formula import formula, number


def _table(y: np.ndarray, loss: LocalizationLoss, names: tuple[str, ...]) -> pd.DataFrame:
    elements = element_names(len(names))
    labels = [*elements[:5], *(f"{element} ({name})" for element, name in zip(elements[5:], names, strict=True))]
    # Where there is no object everything but p_c is "don't care".
    return pd.DataFrame(
        {
            "Element": labels,
            "y": [f"{value:.3f}" if known else "?" for value, known in zip(y, loss.counts, strict=True)],
            "ŷ": [f"{value:.3f}" for value in loss.prediction],
            "Loss": [f"{value:.4f}" if known else "–" for value, known in zip(loss.terms, loss.counts, strict=True)],
            "∂E/∂ŷ": [
                f"{value:+.3f}".replace("-", "−") if known else "0"
                for value, known in zip(loss.gradient, loss.counts, strict=True)
            ],
        }
    )


def vector_table(y: np.ndarray, loss: LocalizationLoss, names: tuple[str, ...]) -> None:
    """Draw y, ŷ, what each element adds to the loss, and the gradient that teaches it."""
    st.dataframe(_table(y, loss, names), hide_index=True, width="stretch", key="loc_table")
    if not y[0]:
        st.caption("? is “don't care”: these outputs get no gradient, so the network learns nothing from them here.")
    elif loss.kind == "logistic":
        st.caption(
            "The classes are brought to sum to 1, as a softmax answers; their gradient is by what was typed, before."
        )


def loss_formula(y: np.ndarray, loss: LocalizationLoss, names: tuple[str, ...]) -> None:
    """Draw the loss as the notes print it, and with the numbers of this y and ŷ."""
    if loss.kind == "squared":
        _squared(y, loss)
    else:
        _logistic(y, loss, names)


def _n(value: float) -> str:
    return number(round(float(value), 4), 4)


def _square(prediction: float, target: float) -> str:
    return rf"({_n(prediction)} - {_n(target)})^2"


def _squared(y: np.ndarray, loss: LocalizationLoss) -> None:
    h = loss.prediction
    symbolic = (
        r"E(\hat y, y) = \begin{cases} \sum_i (\hat y_i - y_i)^2 & y_1 = 1 \\ (\hat y_1 - y_1)^2 & y_1 = 0 \end{cases}"
    )
    if not y[0]:
        formula(
            symbolic.replace("=", "&=", 1),
            rf"E(\hat y, y) &= {_square(h[0], 0)} = {_n(loss.total)}",
            explanation="There is no object: y_1 = p_c = 0, and the second case holds.",
        )
        return
    lines = [
        rf"E(\hat y, y) &= {_square(h[0], y[0])}",
        r"&\quad + " + " + ".join(_square(h[i], y[i]) for i in (1, 2)),
        r"&\quad + " + " + ".join(_square(h[i], y[i]) for i in (3, 4)),
        *(
            r"&\quad + " + " + ".join(_square(h[i], y[i]) for i in range(first, min(first + 3, len(y))))
            for first in range(5, len(y), 3)
        ),
        rf"&= {_n(loss.total)}",
    ]
    formula(
        symbolic.replace("=", "&=", 1),
        *lines,
        explanation="p_c first, then b_x and b_y, b_h and b_w, then the classes: y_1 = 1, so all of them count.",
    )


def _logistic(y: np.ndarray, loss: LocalizationLoss, names: tuple[str, ...]) -> None:
    h = loss.prediction
    symbolic = (
        r"E(\hat y, y) &= -y_1\log\hat y_1 - (1 - y_1)\log(1 - \hat y_1) \\"
        r"&\quad + y_1\Big(\sum_{i=2}^{5}(\hat y_i - y_i)^2 - \sum_{i>5} y_i\log\hat y_i\Big)"
    )
    if not y[0]:
        formula(
            symbolic,
            rf"E(\hat y, y) &= -\log(1 - {_n(h[0])}) = {_n(loss.total)}",
            explanation="There is no object: y_1 = p_c = 0 switches box and classes off.",
        )
        return
    right = int(y[5:].argmax())
    formula(
        symbolic,
        rf"E(\hat y, y) &= -\log {_n(h[0])}",
        r"&\quad + " + " + ".join(_square(h[i], y[i]) for i in (1, 2)),
        r"&\quad + " + " + ".join(_square(h[i], y[i]) for i in (3, 4)),
        rf"&\quad - \log {_n(h[5 + right])}",
        rf"&= {_n(loss.terms[0])} + {_n(loss.terms[1:5].sum())} + {_n(loss.terms[5:].sum())} = {_n(loss.total)}",
        explanation=f"Natural logarithms. Of the classes only the right one's output stands in the loss, "
        f"c_{right + 1} ({names[right]}); the softmax ties the others to it.",
    )


def code(y: np.ndarray, y_hat: np.ndarray, kind: LossKind) -> None:
    """Draw the loss as programs, and run them on request."""
    code_tabs(
        loss_snippets(kind),
        key="loc_code",
        inputs=vector_lines(y, y_hat),
        fingerprint=f"{y.tolist()} {y_hat.tolist()} {kind}",
        compare=lambda: compute(compare_losses, y, y_hat, kind),
    )


def downloads(y: np.ndarray, y_hat: np.ndarray, loss: LocalizationLoss, names: tuple[str, ...]) -> None:
    """Draw the buttons: the table as CSV, both vectors as JSON."""
    with st.container(horizontal=True):
        download_table(_table(y, loss, names), name="target_vector", key="loc_csv", label="Vectors (CSV)")
        download_json(
            {
                "elements": list(element_names(len(names))),
                "classes": list(names),
                "y": y.tolist(),
                "y_hat": y_hat.tolist(),
                "loss": loss.kind,
                "total": loss.total,
            },
            name="target_vector",
            key="loc_json",
            label="Vectors (JSON)",
        )
