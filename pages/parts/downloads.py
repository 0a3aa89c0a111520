"""Download buttons for pictures, arrays, tables and texts; a file is made when its button is clicked."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.runtime.images import encode_jpeg, encode_png


def _button(label: str, make: Callable[[], bytes], *, file_name: str, mime: str, key: str) -> None:
    st.download_button(
        label,
        data=make,
        file_name=file_name,
        mime=mime,
        key=key,
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )


def download_picture(pixels: np.ndarray, *, name: str, key: str, label: str = "Picture", jpeg: bool = False) -> None:
    """A button for an RGB or grey uint8 picture (H, W[, 3]) as PNG, or JPEG where size matters."""
    if jpeg:
        _button(label, lambda: encode_jpeg(pixels, 95), file_name=f"{name}.jpg", mime="image/jpeg", key=key)
    else:
        _button(label, lambda: encode_png(pixels), file_name=f"{name}.png", mime="image/png", key=key)


def download_array(values: np.ndarray, *, name: str, key: str, label: str = "Numbers (.npy)") -> None:
    """A button for an array as a NumPy file."""

    def make() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        return buffer.getvalue()

    _button(label, make, file_name=f"{name}.npy", mime="application/octet-stream", key=key)


def download_table(table: pd.DataFrame, *, name: str, key: str, label: str = "Table (CSV)") -> None:
    """A button for a table as CSV."""
    _button(label, lambda: table.to_csv(index=False).encode(), file_name=f"{name}.csv", mime="text/csv", key=key)


def download_json(value: Any, *, name: str, key: str, label: str = "JSON") -> None:
    """A button for plain data as JSON."""
    _button(
        label, lambda: json.dumps(value, indent=2).encode(), file_name=f"{name}.json", mime="application/json", key=key
    )


def download_text(text: str, *, file_name: str, key: str, label: str, mime: str = "text/plain") -> None:
    """A button for a text file."""
    _button(label, lambda: text.encode(), file_name=file_name, mime=mime, key=key)


def download_bytes(make: Callable[[], bytes], *, file_name: str, key: str, label: str, mime: str) -> None:
    """A button for bytes that are made when it is clicked."""
    _button(label, make, file_name=file_name, mime=mime, key=key)
