"""The architecture explorer: what links open, what selections do, and what it says about files it refuses."""

import io
import json
import zipfile

import pytest

from core.architectures.catalog import CATALOG
from pages.parts.explorer import choice
from pages.parts.explorer.choice import parse_shape

PAGE = "architecture_explorer"


def texts(app):
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def formulas(app):
    return "\n".join(element.value for element in app.latex)


@pytest.mark.parametrize(
    ("label", "parameters"),
    [
        ("VGG-16", 138_357_544),
        ("LeNet-5", 60_840),
        ("AlexNet", 60_965_224),
        ("GoogLeNet", 6_998_552),
        ("ResNet-50", 25_610_152),
    ],
)
def test_a_link_opens_a_network_with_the_published_count(open_page, label, parameters):
    app = open_page(PAGE, net=label)
    assert not app.error
    assert f"**{parameters:,} parameters**" in texts(app)
    assert f":material/check: **{parameters:,}** exactly" in texts(app)


def test_options_and_sizes_of_a_link_are_used(open_page):
    app = open_page(PAGE, net="AlexNet", grouped="one")
    assert "**62,378,344 parameters**" in texts(app)
    app = open_page(PAGE, net="ResNet-50", input="64x96x3", layer="conv5_block3_out")
    assert "**2 × 3 × 2048**" in texts(app)
    assert "made for 224 × 224 × 3, here 64 × 96 × 3" in texts(app)


def test_the_chosen_layer_is_framed_and_its_formula_holds_its_numbers(open_page):
    app = open_page(PAGE, layer="block3_conv2")
    diagram = app.get("graphviz_chart")[0].proto.spec
    framed = [line for line in diagram.splitlines() if "penwidth=3" in line]
    assert len(framed) == 1 and "block3_conv2" in framed[0]
    assert r"3 \cdot 3 \cdot 256 \cdot 256" in formulas(app) and "P &= 590{,}080" in formulas(app)
    assert r"56 \cdot 56 \cdot 3 \cdot 3 \cdot 256 \cdot 256 = 1{,}849{,}688{,}064" in formulas(app)
    app.selectbox(key="layer").set_value("fc1").run()
    assert r"25{,}088 \cdot 4{,}096" in formulas(app) and "P &= 102{,}764{,}544" in formulas(app)


def test_blocks_open_to_layers(open_page):
    app = open_page(PAGE, net="ResNet-50", open="none")
    closed = app.get("graphviz_chart")[0].proto.spec
    app.segmented_control(key="open").set_value("all").run()
    opened = app.get("graphviz_chart")[0].proto.spec
    # A node a line: blocks when closed; all 178 layers when open.
    assert closed.count("fillcolor") < 30 and opened.count("fillcolor") == 178


def test_another_network_keeps_no_layer_that_it_does_not_have(open_page):
    app = open_page(PAGE, layer="block3_conv2")
    app.selectbox(key="net").set_value("lenet5").run()
    assert not app.exception and not app.error
    assert app.selectbox(key="layer").value == "c1"


def test_networks_stand_side_by_side(open_page):
    app = open_page(PAGE, view="Side by side", net="LeNet-5")
    table = app.dataframe[0].value
    assert table["Network"].tolist() == ["LeNet-5", "AlexNet", "GoogLeNet", "ResNet-50"]
    assert table["Year"].tolist() == [1998, 2012, 2014, 2015]
    assert table["Depth"].tolist() == [CATALOG[name].depth for name in ("lenet5", "alexnet", "googlenet", "resnet50")]
    assert "18.2 % top-5" in table["Error reported"][1]
    assert "compare only those of the same measure" in texts(app)
    app.multiselect(key="beside").set_value(["MobileNetV2"]).run()
    assert not app.exception and app.dataframe[0].value["Parameters"][1] == "3,538,984"


def test_a_small_network_answers_to_an_image_and_says_with_which_weights(open_page):
    app = open_page(PAGE, view="Activations", net="LeNet-5", layer="c3", channel="99")
    assert not app.error and not app.exception
    assert "**c3** · 16 maps of 10 × 10" in texts(app)
    assert "Answered by **LeNet-5** with **random initialisation, seed 0**" in texts(app)


def test_a_large_network_allocates_nothing_until_it_is_asked(open_page, monkeypatch):
    from core.architectures import networks

    def refuse(*_args, **_kwargs):
        raise AssertionError("The weights were allocated.")

    monkeypatch.setattr(networks, "open_runnable", refuse)
    app = open_page(PAGE, view="Activations")
    assert not app.error and not app.exception
    assert app.button(key="run_network") is not None
    assert "nothing of its 553 MB of weights is allocated" in texts(app)


def test_the_code_builds_the_same_network(open_page):
    app = open_page(PAGE, view="Export and code", net="Network in Network")
    program = next(block.value for block in app.get("code") if "import keras" in block.value)
    names: dict[str, object] = {}
    exec(program, names)  # noqa: S102
    assert names["model"].count_params() == 966_986


def test_a_stack_of_the_shapes_page_opens(open_page):
    app = open_page(PAGE, net="A stack of layers…", stack="conv-5-1-valid-8_max-2-2_softmax-10", stack_input="32x32x3")
    assert not app.error
    # 5 * 5 * 3 * 8 + 8, and 14 * 14 * 8 * 10 + 10.
    assert f"**{608 + 15_690:,} parameters**" in texts(app)


@pytest.mark.parametrize("text", ["224", "0x0x0", "axbxc", "9999999x2x3"])
def test_an_input_that_is_no_size_gets_one_sentence(open_page, text):
    app = open_page(PAGE, input=text)
    assert len(app.error) == 1 and not app.exception


def test_an_image_too_small_for_the_network_gets_one_sentence(open_page):
    app = open_page(PAGE, input="8x8x3")
    assert [error.value for error in app.error] == ["VGG-16 needs an image of at least 32 x 32 pixels; got 8 x 8."]


def model_file(config: object) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"")
    return content.getvalue()


LAMBDA = {
    "class_name": "Sequential",
    "module": "keras",
    "config": {"layers": [{"class_name": "Lambda", "module": "keras.layers", "config": {}}]},
}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"not a model", "not a .keras file"),
        (model_file(LAMBDA), "Lambda"),
        (model_file(LAMBDA)[:60], "incomplete or damaged"),
        (model_file({"class_name": "Mine", "module": "mine", "config": {}}), "not part of Keras"),
    ],
    ids=["empty", "no archive", "lambda", "truncated", "custom class"],
)
def test_a_file_that_is_refused_gets_one_sentence(open_page, content, says):
    app = open_page(PAGE, net=choice.LABELS[choice.FILE])
    app.file_uploader(key="model_file").upload("mine.keras", content, "application/octet-stream").run()
    assert not app.exception
    assert len(app.error) == 1 and says in app.error[0].value


def test_an_own_file_opens_and_runs(open_page):
    import keras

    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, name="first"), keras.layers.Flatten()], name="mine"
    )
    from core.architectures.export import keras_bytes

    app = open_page(PAGE, net=choice.LABELS[choice.FILE])
    app.file_uploader(key="model_file").upload("mine.keras", keras_bytes(model), "application/octet-stream").run()
    assert not app.error and not app.exception
    assert "**112 parameters**" in texts(app)
    app.segmented_control(key="view").set_value("activations").run()
    assert "**first** · 4 maps of 14 × 14" in texts(app)
    assert "weights of the file" in texts(app)


def test_a_shape_is_read_as_people_write_it():
    assert [parse_shape(text) for text in ("96x128x3", " 96 × 128 × 3 ", "")] == [(96, 128, 3), (96, 128, 3), None]
