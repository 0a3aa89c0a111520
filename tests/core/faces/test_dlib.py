"""dlib's network in Keras: the reader of its format, the weights, and the encodings that dlib itself computes."""

from pathlib import Path

import numpy as np
import pytest

from core.faces.dlib_format import DlibFormatError, Reader, read_layers
from core.runtime import weights
from tests.core.faces.record_dlib import crops

RECORDED = Path(__file__).parent / "data" / "dlib_encodings.npz"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def stored() -> Path:
    path = weights.where("dlib_face")
    if path is None:
        pytest.skip("the package face-recognition-models is not installed")
    return path


def integer(value: int) -> bytes:
    """As dlib writes it: a byte with the length and the sign, then the bytes, lowest first."""
    length = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([length | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(length, "little")


class TestReader:
    @pytest.mark.parametrize("value", [0, 1, -1, 255, 256, -70000, 2**40, 2**63 - 1])
    def test_integers(self, value):
        assert Reader(integer(value)).integer() == value

    @pytest.mark.parametrize(("mantissa", "exponent", "value"), [(3, 0, 3.0), (5, -3, 0.625), (-7, 4, -112.0)])
    def test_floats(self, mantissa, exponent, value):
        assert Reader(integer(mantissa) + integer(exponent)).floating() == value

    def test_strings_and_tensors(self):
        numbers = np.arange(6, dtype="<f4")
        data = integer(5) + b"con_4" + integer(2) + b"".join(integer(side) for side in (1, 2, 3, 1)) + numbers.tobytes()
        reader = Reader(data)
        assert reader.string() == "con_4"
        np.testing.assert_array_equal(reader.tensor(), numbers.reshape(1, 2, 3, 1))
        assert reader.position == len(data)

    @pytest.mark.parametrize(
        "data",
        [
            b"",  # nothing
            b"\x08\x01",  # cut off
            b"\x00",  # no bytes
            b"\x1f\x01",  # too long
            b"\x71" + bytes(8),  # bits that mean nothing
        ],
    )
    def test_refuses_what_is_no_integer(self, data):
        with pytest.raises(DlibFormatError):
            Reader(data).integer()

    @pytest.mark.parametrize("shape", [(1 << 40, 1, 1, 1), (-1, 1, 1, 1), (100, 100, 100, 100)])
    def test_refuses_tensors_that_cannot_be(self, shape):
        with pytest.raises(DlibFormatError):
            Reader(integer(2) + b"".join(integer(side) for side in shape)).tensor()

    def test_refuses_other_files(self, tmp_path):
        for name, content in (("empty", b""), ("text", b"hello"), ("noise", np.random.default_rng(0).bytes(5000))):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DlibFormatError):
                read_layers(tmp_path / name)

    def test_refuses_a_file_that_is_cut_off(self, stored, tmp_path):
        (tmp_path / "part.dat").write_bytes(stored.read_bytes()[:1_000_000])
        with pytest.raises(DlibFormatError):
            read_layers(tmp_path / "part.dat")


class TestFile:
    def test_has_the_layers_that_its_author_describes(self, stored):
        layers = read_layers(stored)
        tags = [layer.tag for layer in layers]
        assert tags.count("con_4") == tags.count("affine_") == 29
        assert tags.count("add_prev_") == 14 and tags.count("max_pool_2") == 1
        assert layers[-1].weights.shape == (256, 128)
        np.testing.assert_allclose(layers[0].numbers, (122.782, 117.001, 104.298), atol=1e-3)
        strides = [layer.stride for layer in layers if layer.tag == "con_4"]
        assert strides.count(2) == 5 and strides[0] == 2

    def test_every_weight_has_a_place_in_the_keras_network(self, stored):
        from core.faces.dlib_network import build_dlib_network, load_dlib_weights

        model = build_dlib_network()
        load_dlib_weights(model, stored)
        count = sum(
            part.size for layer in read_layers(stored) for part in (layer.weights, layer.bias) if part is not None
        )
        assert model.count_params() == count
        assert len({layer.name for layer in model.layers}) == len(model.layers)

    def test_a_network_of_other_sizes_is_refused(self, stored):
        import keras

        from core.faces.dlib_network import load_dlib_weights

        other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="only")])
        with pytest.raises(DlibFormatError, match="layers with weights"):
            load_dlib_weights(other, stored)


def test_encodings_are_those_of_dlib(stored):
    from core.faces.dlib_encoder import encode_aligned

    if not RECORDED.is_file():
        pytest.skip("dlib's encodings were not recorded")
    recorded = np.load(RECORDED)
    made = crops()
    assert recorded["names"].tolist() == list(made)
    ours = encode_aligned(np.stack(list(made.values())))
    np.testing.assert_allclose(ours, recorded["encodings"], atol=TOLERANCE)


def test_a_batch_gives_what_single_faces_give(stored):
    from core.faces.dlib_encoder import encode_aligned

    batch = np.stack(list(crops().values()))
    single = np.concatenate([encode_aligned(batch[i : i + 1]) for i in range(len(batch))])
    np.testing.assert_allclose(encode_aligned(batch), single, atol=1e-5)
    assert encode_aligned(batch[:0]).shape == (0, 128)
