"""Published counts, depths and sizes of every network of the catalogue, without allocating a weight."""

import dataclasses
import functools
import subprocess
import sys

import keras
import numpy as np
import pytest

from core.architectures import catalog
from core.architectures.building import LayerMaker, build_without_weights
from core.architectures.catalog import APPLICATIONS, CATALOG, UnknownNetworkError
from core.architectures.googlenet_table import GOOGLENET_MODULES, PRINTED_STAGES
from core.architectures.summary import ModelSummary, summarise_model


@functools.cache
def summary_of(name: str, input_shape: tuple | None, options: tuple) -> ModelSummary:
    return summarise_model(build_without_weights(lambda: catalog.build(name, input_shape, dict(options))))


def summarise(name: str, input_shape: tuple | None = None, options: dict | None = None) -> ModelSummary:
    return summary_of(name, input_shape, tuple((options or {}).items()))


PUBLISHED = [
    pytest.param(entry.name, dict(count.options), count.parameters, count.trainable, id=f"{entry.name}-{i}")
    for entry in CATALOG.values()
    for i, count in enumerate(entry.published)
]


@pytest.mark.parametrize(("name", "options", "parameters", "trainable"), PUBLISHED)
def test_published_counts(name: str, options: dict, parameters: int, trainable: int) -> None:
    summary = summarise(name, options=options)
    assert (summary.parameters, summary.trainable_parameters) == (parameters, trainable)


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        # the numbers the chapter promises, once more, so that an edit of the catalogue cannot move them
        ("vgg16", {}, 138_357_544),
        ("resnet50", {"variant": "keras"}, 25_636_712),
        ("alexnet", {"grouped": False}, 62_378_344),
        ("alexnet", {"grouped": True}, 60_965_224),
        ("lenet5", {"form": "dense_c3"}, 61_706),
        ("googlenet", {"side_outputs": False}, 6_998_552),
        ("googlenet", {"side_outputs": True}, 13_378_280),
    ],
)
def test_promised_counts(name: str, options: dict, parameters: int) -> None:
    assert summarise(name, options=options).parameters == parameters


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("vgg16", {}, "VGG16"),
        ("vgg19", {}, "VGG19"),
        ("resnet50", {"variant": "keras"}, "ResNet50"),
    ],
)
def test_same_weights_as_keras_applications(name: str, options: dict, reference: str) -> None:
    ours = build_without_weights(lambda: catalog.build(name, options=options))
    theirs = build_without_weights(lambda: catalog.build(reference))
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert ours.count_params() == theirs.count_params()


@pytest.mark.parametrize(("ours", "options", "theirs"), [("resnet50", {"variant": "keras"}, "ResNet50")])
def test_same_outputs_as_keras_applications(ours: str, options: dict, theirs: str) -> None:
    own = catalog.build(ours, (64, 64, 3), options)
    reference = catalog.build(theirs, (64, 64, 3))
    rng = np.random.default_rng(0)
    # Batch normalisation keeps the scale of the values, so any weights will do; moving variances are
    # positive.
    reference.set_weights([np.abs(rng.normal(0.0, 0.05, w.shape)).astype("float32") for w in reference.weights])
    own.set_weights(reference.get_weights())
    image = rng.random((1, 64, 64, 3), dtype=np.float32)
    np.testing.assert_allclose(own(image), reference(image), rtol=1e-4, atol=1e-7)


def test_layers_of_lenet_have_the_connections_of_the_paper() -> None:
    # section II.B: connections count a unit's inputs and its bias
    summary = summarise("lenet5")
    layer = {row.name: row for row in summary.layers}
    units = {name: int(np.prod(layer[name].output_shape)) for name in layer}
    assert layer["c1"].multiply_adds + units["c1"] == 122_304
    assert units["s2"] * (4 + 1) == 5_880
    assert layer["c3"].multiply_adds + units["c3"] == 151_600
    assert units["s4"] * (4 + 1) == 2_000
    assert layer["c5"].multiply_adds + units["c5"] == 48_120
    assert layer["f6"].multiply_adds + units["f6"] == 10_164
    parameters = {name: layer[name].trainable_parameters for name in ("c1", "s2", "c3", "s4", "c5", "f6")}
    assert parameters == {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert (layer["output"].trainable_parameters, layer["output"].non_trainable_parameters) == (0, 840)


def test_stages_of_googlenet_agree_with_table_1() -> None:
    summary = summarise("googlenet")
    for stage, (shape, kiloparameters, megaoperations) in PRINTED_STAGES.items():
        rows = [row for row in summary.layers if row.name.startswith(f"{stage}_") or row.name == stage]
        parameters = sum(row.parameters for row in rows)
        operations = sum(row.multiply_adds or 0 for row in rows)
        convolved = [row for row in rows if row.type in ("Conv2D", "Dense", "Concatenate")]
        assert convolved[-1].output_shape in (shape, shape[2:])
        if stage == "conv1":
            assert parameters == 9_472  # the printed 2.7 K are those of another layer: see `googlenet`
            assert 7 * 7 * 3 * 8 + 24 * 64 == pytest.approx(kiloparameters * 1000, rel=0.01)
            assert (7 * 7 * 3 * 8 + 24 * 64) * 112 * 112 == pytest.approx(megaoperations * 1e6, rel=0.01)
            continue
        if stage != "inception_5a":  # its two printed numbers agree with each other, not with its widths
            assert operations == pytest.approx(megaoperations * 1e6, rel=0.01, abs=0.5e6), stage
        if stage not in ("inception_4c", "inception_4d", "inception_5a", "inception_5b"):
            biases = sum(row.output_shape[-1] for row in rows if row.type in ("Conv2D", "Dense"))
            assert (parameters - biases) / 1024 == pytest.approx(kiloparameters, rel=0.01), stage


@pytest.mark.parametrize("name", CATALOG)
def test_depth_is_the_papers(name: str) -> None:
    assert summarise(name).depth == CATALOG[name].depth


def test_module_outputs_are_as_wide_as_the_table() -> None:
    assert [widths.output for widths in GOOGLENET_MODULES.values()] == [
        256, 480, 512, 512, 512, 528, 832, 832, 1024
    ]  # fmt: skip


@pytest.mark.parametrize("name", CATALOG)
def test_smallest_side_can_be_built_and_one_less_is_refused(name: str) -> None:
    entry = CATALOG[name]
    side, channels = entry.smallest_side_px, entry.input_shape[2]
    summary = summarise(name, input_shape=(side, side, channels))
    assert all(length is None or length > 0 for row in summary.layers for length in row.output_shape)
    with pytest.raises(ValueError, match=f"needs an image of at least {side} x {side} pixels"):
        catalog.build(name, (side - 1, side, channels))


def test_entries_are_complete() -> None:
    for name, entry in CATALOG.items():
        assert entry.name == name
        assert entry.errors and all(0 < error.percent < 100 for error in entry.errors)
        assert entry.paper.url.startswith("http") and 1990 < entry.paper.year < 2030
        assert all(option.default in [value for value, _ in option.choices] and option.help for option in entry.options)
        with pytest.raises(dataclasses.FrozenInstanceError):
            entry.year = 1  # type: ignore[attr-defined]


def test_every_application_of_keras_is_listed() -> None:
    known = {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and name[0].isupper() and not name.startswith("_")
    }
    assert known == set(APPLICATIONS)
    for name, module in APPLICATIONS.items():
        assert hasattr(getattr(keras.applications, module), "preprocess_input"), name


def test_unknown_names_and_options_are_refused_in_a_sentence() -> None:
    with pytest.raises(UnknownNetworkError, match="There is no network 'vgg17'"):
        catalog.build("vgg17")
    with pytest.raises(UnknownNetworkError, match="VGG-16 has no option 'grouped'"):
        catalog.build("vgg16", options={"grouped": True})
    with pytest.raises(UnknownNetworkError, match="offers A, B, C for 'shortcuts'"):
        catalog.build("resnet18", options={"shortcuts": "D"})
    with pytest.raises(ValueError, match="65 x 65 pixels or more"):
        catalog.build("googlenet", (64, 64, 3), {"side_outputs": True})


def test_same_seed_same_weights() -> None:
    first, same, other = (catalog.build("lenet5", seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


def test_layers_of_one_network_start_differently() -> None:
    model = catalog.build("resnet20_cifar")
    first, second = (model.get_layer(f"conv2_block{n}_1_conv").get_weights()[0] for n in (1, 2))
    assert np.abs(first - second).max() > 0.01


def test_dtype_policy_belongs_to_the_call() -> None:
    net = LayerMaker(dtype="mixed_float16")
    inputs = keras.Input((8, 8, 3))
    outputs = net.classifier(net.global_average(net.conv(inputs, 4, 3, "c"), "g"), 2, "p")
    assert outputs.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_vgg16_opens_without_its_weights() -> None:
    # in a process of its own, so that what other tests allocated does not hide anything
    code = """
import psutil, time, keras
from core.architectures import tasks
tasks.summarise("lenet5")
before, start = psutil.Process().memory_info().rss, time.process_time()
summary = tasks.summarise("vgg16")
print(time.process_time() - start, psutil.Process().memory_info().rss - before, summary.parameters)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    seconds, grown, parameters = map(float, done.stdout.split())
    assert parameters == 138_357_544
    assert seconds < 2.0  # of processor time
    assert grown < 50 * 2**20


def test_deferred_variables_are_not_filled_later() -> None:
    keep = build_without_weights(lambda: catalog.build("resnet20_cifar"))
    catalog.build("lenet5")  # building anything afterwards must not give the first one its weights
    assert all(variable._value is None for variable in keep.weights)


def test_errors_of_a_builder_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        build_without_weights(lambda: 1 // 0)


def test_catalogue_is_light() -> None:
    code = (
        "import sys, core.architectures.catalog, core.architectures.summary, core.architectures.tasks, "
        "core.architectures.blocks, core.architectures.loading; "
        "print('keras' in sys.modules, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]
