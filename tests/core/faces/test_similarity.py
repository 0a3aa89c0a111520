"""Learning a similarity: data whose unseen classes stay unseen, losses against plain loops, and a run that learns."""

from __future__ import annotations

import io
import zipfile

import cv2
import numpy as np
import pytest

from core.faces.similarity_data import SimilarityDataError, picture_set
from core.faces.similarity_types import (
    WAYS,
    SimilaritySettings,
    TripletNumbers,
    pair_terms,
    triplet_numbers,
)


def zip_of(persons: dict[str, int], side_px: int = 40) -> bytes:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, count in persons.items():
            for number in range(count):
                pixels = rng.integers(0, 255, (side_px, side_px + 7, 3)).astype(np.uint8)
                archive.writestr(f"people/{name}/{number}.png", cv2.imencode(".png", pixels)[1].tobytes())
    return buffer.getvalue()


class TestThePictures:
    @pytest.mark.parametrize("name", ["digits", "drawn"])
    def test_unseen_classes_are_never_trained_on(self, name):
        pictures = picture_set(name)
        learned = set(pictures.labels[pictures.train].tolist())
        assert learned == set(pictures.labels[pictures.held_out].tolist())
        assert not learned & set(pictures.labels[pictures.unseen].tolist())
        together = np.concatenate([pictures.train, pictures.held_out, pictures.unseen])
        assert len(np.unique(together)) == len(together) == len(pictures.labels)
        assert pictures.pictures.dtype == np.uint8 and pictures.pictures.shape[1:3] == (32, 32)

    def test_a_seed_draws_the_same_persons(self):
        assert np.array_equal(picture_set("drawn", seed=3).pictures, picture_set("drawn", seed=3).pictures)
        assert not np.array_equal(picture_set("drawn", seed=3).pictures, picture_set("drawn", seed=4).pictures)

    def test_folders_of_a_zip_are_persons(self):
        pictures = picture_set("own", zip_of({"Zoë": 4, "b": 3, "<b>c": 5, "d": 3, "once": 1}))
        assert pictures.class_names == ("<b>c", "Zoë", "b", "d")

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "0 bytes"),
            (b"no zip", "no zip archive"),
            (zip_of({"a": 5, "b": 5}), "2 folders with at least 3 pictures"),
            (zip_of({"a": 1, "b": 1, "c": 1, "d": 1}), "0 folders"),
        ],
    )
    def test_zips_that_cannot_be_used(self, data, said):
        with pytest.raises(SimilarityDataError, match=said):
            picture_set("own", data)

    def test_a_set_that_is_not_there(self):
        with pytest.raises(SimilarityDataError, match="no pictures called"):
            picture_set("cats")


class TestNumbersByHand:
    def test_a_triplet(self):
        numbers = triplet_numbers(np.array([0.0, 1.0]), np.array([0.0, 0.5]), np.array([1.0, 1.0]), margin=0.9)
        assert (numbers.positive, numbers.negative) == (0.25, 1.0)
        assert numbers.loss == pytest.approx(0.15)
        assert numbers.kind == "semi-hard"
        assert TripletNumbers(0.1, 1.2, 0.5).loss == 0

    def test_chi_square_of_positive_encodings(self):
        a, b = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.0])
        assert pair_terms(a, b, "chi-square") == pytest.approx([4 / 4, 0.0, 0.25 / 0.5])
        assert pair_terms(a, b, "absolute") == pytest.approx([2.0, 0.0, 0.5])


@pytest.mark.parametrize(
    "wrong",
    [{"ways": ()}, {"ways": ("magic",)}, {"steps": 1}, {"rate": 0.0}, {"margin": 3.0}, {"dimensions": 1}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="ways|steps|Rate|numbers"):
        SimilaritySettings(**wrong)


class TestTheLosses:
    labels = np.array([0, 0, 1, 2, 1, 0])

    def encodings(self) -> np.ndarray:
        return np.random.default_rng(2).random((6, 4)).astype(np.float32)

    def test_contrastive_is_that_of_a_loop(self):
        from core.faces.similarity_losses import contrastive_loss

        f, margin = self.encodings().astype(np.float64), 0.9
        same, different = [], []
        for i in range(6):
            for j in range(i + 1, 6):
                d = np.linalg.norm(f[i] - f[j])
                (same if self.labels[i] == self.labels[j] else different).append(d)
        expected = np.mean(np.square(same)) + np.mean(np.maximum(margin - np.array(different), 0) ** 2)
        loss, active = contrastive_loss(self.encodings(), self.labels, margin)
        assert float(loss) == pytest.approx(expected, rel=1e-4)
        assert float(active) == pytest.approx(np.mean(np.array(different) < margin))

    @pytest.mark.parametrize("way", ["absolute", "chi-square"])
    def test_binary_is_that_of_a_loop(self, way):
        from core.faces.similarity_losses import pair_loss

        f = self.encodings()
        weights, bias = np.array([-1.0, -2.0, 0.5, -0.3], np.float32), 0.7
        same, different, wrong_same, wrong_different = [], [], [], []
        for i in range(6):
            for j in range(i + 1, 6):
                logit = pair_terms(f[i], f[j], way) @ weights + bias
                probability = 1 / (1 + np.exp(-logit))
                if self.labels[i] == self.labels[j]:
                    same.append(-np.log(probability))
                    wrong_same.append(probability <= 0.5)
                else:
                    different.append(-np.log(1 - probability))
                    wrong_different.append(probability > 0.5)
        loss, wrong = pair_loss(f, self.labels, weights, bias, way == "chi-square")
        assert float(loss) == pytest.approx(np.mean(same) + np.mean(different), rel=1e-4)
        assert float(wrong) == pytest.approx(0.5 * (np.mean(wrong_same) + np.mean(wrong_different)))

    @pytest.mark.parametrize("which", ["contrastive", "absolute", "chi-square"])
    def test_gradients_are_those_of_differences(self, which):
        import tensorflow as tf

        from core.faces.similarity_losses import contrastive_loss, pair_loss

        weights, bias = tf.constant([-1.0, -2.0, 0.5, -0.3]), tf.constant(0.7)

        def loss_of(values: np.ndarray):
            if which == "contrastive":
                return contrastive_loss(values, self.labels, 0.9)[0]
            return pair_loss(values, self.labels, weights, bias, which == "chi-square")[0]

        values = tf.Variable(self.encodings())
        with tf.GradientTape() as tape:
            loss = loss_of(values)
        gradient = np.asarray(tape.gradient(loss, values))
        step = 2e-3
        for place in [(0, 0), (2, 3), (5, 1)]:
            moved = [self.encodings(), self.encodings()]
            moved[0][place] += step
            moved[1][place] -= step
            expected = (float(loss_of(moved[0])) - float(loss_of(moved[1]))) / (2 * step)
            assert gradient[place] == pytest.approx(expected, rel=0.05, abs=2e-3)


class TestLearning:
    def test_batches_hold_p_times_k(self):
        from core.faces.similarity_learning import draw_batch

        labels = np.repeat(np.arange(9), 6)
        rows = draw_batch(labels, 4, 3, np.random.default_rng(1))
        classes, counts = np.unique(labels[rows], return_counts=True)
        assert len(classes) == 4 and (counts == 3).all() and len(np.unique(rows)) == 12

    def test_pairs_are_half_and_half_and_labelled_right(self):
        from core.faces.similarity_learning import some_pairs

        labels = np.random.default_rng(0).integers(0, 5, 60)
        first, second, same = some_pairs(labels, 200, 0)
        assert len(first) == 200 and same.sum() == 100
        assert np.array_equal(labels[first] == labels[second], same)
        assert (first != second).all()

    def test_the_map_is_turned_not_bent(self):
        from core.faces.similarity_learning import flat_map

        encodings = np.random.default_rng(3).normal(size=(30, 5)).astype(np.float32)
        first = flat_map(encodings)
        turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0].astype(np.float32)
        again = flat_map(encodings @ turn, first)
        assert np.allclose(first, again, atol=1e-4)
        assert np.abs(first).max() == pytest.approx(1.0, abs=1e-5)

    @pytest.mark.parametrize("way", WAYS)
    def test_every_way_learns_from_digits(self, way):
        from core.faces.similarity_tasks import train_similarity

        told = []
        settings = SimilaritySettings(ways=(way,), steps=40, rate=0.004)
        result = train_similarity("digits", settings, report=lambda *a, **k: told.append((a, k)))
        (one,) = result.ways
        assert one.accuracy_held_out[-1] > one.accuracy_held_out[0] + 0.05
        assert len(one.loss) == 40 == one.look_steps[-1] and len(told) == 40
        assert one.frames.shape == (len(one.look_steps), len(result.labels), 2)
        assert np.isfinite(one.loss).all()
        # The accuracy that is shown is that of the pairs that are shown.
        assert one.unseen.at(one.threshold).accuracy == pytest.approx(one.accuracy_unseen[-1], abs=1e-6)

    def test_an_untrained_look_has_no_losses(self):
        from core.faces.similarity_tasks import untrained

        result = untrained("drawn", SimilaritySettings())
        assert len(result.ways[0].loss) == 0 and result.ways[0].look_steps.tolist() == [0]
        assert result.is_unseen.any() and not result.is_unseen.all()
