"""Every program that the page shows is run on random cases and compared with the definition."""

import ast
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.convolution.filters import filter_kernel
from core.convolution.geometry import FilterTooLarge
from core.convolution.operation import ConvolutionSettings, conv_forward, convolve_volume
from core.convolution.snippets import (
    MARK,
    CodeSnippets,
    convolution_snippets,
    pooling_snippets,
    split_at_mark,
    volume_snippets,
)

pytest.importorskip("tensorflow")

IMPLEMENTATIONS = ("NumPy", "TensorFlow", "Keras")


def run(text: str, **inputs: Any) -> np.ndarray:
    """Run a program as a reader would: in one piece, with nothing but its inputs defined."""
    names: dict[str, Any] = dict(inputs)
    exec(compile(text, "<snippet>", "exec"), names)  # noqa: S102 - the very thing under test
    return np.asarray(names["result"])


def agree(snippets: CodeSnippets, expected: np.ndarray, scale: float, **inputs: Any) -> None:
    assert tuple(name for name, _ in snippets.items()) == IMPLEMENTATIONS
    for name, text in snippets.items():
        result = run(text, **inputs)
        assert result.dtype == np.float32 and result.shape == expected.shape, f"{name}\n{text}"
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * scale, err_msg=f"{name}\n{text}")


def random_settings(draw: st.DrawFn) -> ConvolutionSettings:
    return ConvolutionSettings(
        stride=draw(st.integers(1, 3)),
        padding=draw(st.sampled_from(["valid", "same", 0, 1, 2, 5])),
        border=draw(st.sampled_from(["zero", "reflect", "replicate"])),
        dilation=draw(st.integers(1, 3)),
        flip=draw(st.booleans()),
    )


@st.composite
def convolution_cases(draw: st.DrawFn) -> tuple[ConvolutionSettings, tuple[int, int], tuple[int, ...], int]:
    choices = random_settings(draw)
    f = draw(st.integers(1, 6))
    covered = choices.dilation * (f - 1) + 1
    shape = (draw(st.integers(covered, covered + 9)), draw(st.integers(covered, covered + 9)))
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    return choices, (f, f), (*shape, *channels), draw(st.integers(0, 2**16))


@settings(max_examples=60, deadline=None)
@given(convolution_cases())
def test_convolution_snippets_agree_with_the_definition(
    case: tuple[ConvolutionSettings, tuple[int, int], tuple[int, ...], int],
) -> None:
    choices, kernel_shape, image_shape, seed = case
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, image_shape).astype(np.uint8)
    kernel = generator.normal(size=kernel_shape)
    expected = conv_forward(image, kernel, choices)
    scale = 255 * float(np.abs(kernel).sum())
    agree(convolution_snippets(choices, kernel_shape, image_shape), expected, scale, image=image, kernel=kernel)


@st.composite
def volume_cases(draw: st.DrawFn) -> tuple[ConvolutionSettings, int, tuple[int, int, int], int, str, int]:
    choices = random_settings(draw)
    f = draw(st.integers(1, 4))
    covered = choices.dilation * (f - 1) + 1
    shape = (draw(st.integers(covered, covered + 6)), draw(st.integers(covered, covered + 6)))
    activation = draw(st.sampled_from(["linear", "relu", "tanh", "sigmoid"]))
    channels, count = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return choices, f, (*shape, channels), count, activation, draw(st.integers(0, 2**16))


@settings(max_examples=40, deadline=None)
@given(volume_cases())
def test_volume_snippets_agree_with_the_layer(case: Any) -> None:
    choices, f, volume_shape, count, activation, seed = case
    generator = np.random.default_rng(seed)
    volume = generator.normal(size=volume_shape).astype(np.float32)
    filters = generator.normal(size=(f, f, volume_shape[2], count))
    bias = generator.normal(size=count)
    expected = convolve_volume(volume, filters, bias, choices, activation)
    snippets = volume_snippets(choices, filters.shape, volume_shape, activation)
    agree(snippets, expected, float(np.abs(filters).sum()) + 1, volume=volume, filters=filters, bias=bias)


@settings(max_examples=40, deadline=None)
@given(
    f=st.integers(1, 5),
    s=st.integers(1, 4),
    mode=st.sampled_from(["max", "average"]),
    extra=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    channels=st.sampled_from([(), (1,), (3,)]),
    seed=st.integers(0, 2**16),
)
def test_pooling_snippets_agree_with_a_loop(
    f: int, s: int, mode: Any, extra: tuple[int, int], channels: tuple[int, ...], seed: int
) -> None:
    x = np.random.default_rng(seed).normal(size=(f + extra[0], f + extra[1], *channels))
    reduce = {"max": np.max, "average": np.mean}[mode]
    rows, columns = extra[0] // s + 1, extra[1] // s + 1
    windows = [[x[i * s : i * s + f, j * s : j * s + f] for j in range(columns)] for i in range(rows)]
    expected = np.array([[reduce(window, axis=(0, 1)) for window in row] for row in windows], np.float32)
    agree(pooling_snippets(f, s, mode, x.shape), expected, 10, x=x)


def test_the_notes_example() -> None:
    image = np.array([[10, 10, 10, 0, 0, 0]] * 6)
    kernel = filter_kernel("vertical")
    snippets = convolution_snippets(ConvolutionSettings(), (3, 3), image.shape)
    for _, text in snippets.items():
        assert run(text, image=image, kernel=kernel).tolist() == [[0, 30, 30, 0]] * 4


def test_programs_read_like_programs() -> None:
    choices = ConvolutionSettings(stride=2, padding=3, border="reflect", dilation=2, flip=True)
    for snippets in (
        convolution_snippets(choices, (5, 5), (512, 512, 3)),
        convolution_snippets(ConvolutionSettings(padding=100, dilation=3), (31, 31), (512, 512)),
        volume_snippets(choices, (3, 3, 3, 64), (224, 224, 3), "relu"),
        pooling_snippets(3, 2, "average", (224, 224, 64)),
    ):
        for _, text in snippets.items():
            ast.parse(text)
            assert text.count(MARK) == 1
            assert len(text.splitlines()) <= 25
            assert max(map(len, text.splitlines())) <= 105
            assert "None" in text or "np" in text
            assert "''" not in text
            ready, computation = split_at_mark(text)
            assert "import" in ready and "import" not in computation


def test_even_same_padding_puts_the_surplus_at_the_end() -> None:
    image = np.arange(25.0).reshape(5, 5)
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
    choices = ConvolutionSettings(padding="same")
    agree(
        convolution_snippets(choices, (2, 2), (5, 5)),
        conv_forward(image, kernel, choices),
        250,
        image=image,
        kernel=kernel,
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(FilterTooLarge, match="covers 5"):
        convolution_snippets(ConvolutionSettings(dilation=2), (3, 3), (4, 4))
    with pytest.raises(FilterTooLarge):
        pooling_snippets(3, 1, "max", (2, 8))
    with pytest.raises(ValueError, match="received"):
        convolution_snippets(ConvolutionSettings(), (3, 3), (4,))
    with pytest.raises(ValueError, match="same C"):
        volume_snippets(ConvolutionSettings(), (3, 3, 4, 2), (8, 8, 3))
    with pytest.raises(ValueError, match="max or average"):
        pooling_snippets(2, 2, "median", (8, 8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="activation"):
        volume_snippets(ConvolutionSettings(), (3, 3, 3, 2), (8, 8, 3), "import os")  # type: ignore[arg-type]


def test_only_whole_numbers_reach_a_program() -> None:
    class Sly(int):
        """A number that prints as code."""

        def __repr__(self) -> str:
            return "__import__('os')"

        __str__ = __repr__

        def __format__(self, specification: str) -> str:
            return repr(self)

    sly = Sly(2)
    programs = [
        convolution_snippets(
            ConvolutionSettings(stride=sly, padding=sly, dilation=sly), (sly, sly), (Sly(9), Sly(9), sly)
        ),
        volume_snippets(ConvolutionSettings(stride=sly), (sly, sly, sly, sly), (Sly(9), Sly(9), sly)),
        pooling_snippets(sly, sly, "max", (Sly(9), Sly(9))),
    ]
    for snippets in programs:
        for _, text in snippets.items():
            assert "__import__" not in text
