"""The evaluation against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from core.training.evaluation import EvaluationError, evaluate_classifier


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 6, 200)
    probabilities = random.dirichlet(np.ones(7), 200).astype(np.float32)  # one class is never the truth
    result = evaluate_classifier(labels, probabilities)
    predicted, names = probabilities.argmax(1), range(7)
    assert result.accuracy == pytest.approx(accuracy_score(labels, predicted))
    np.testing.assert_array_equal(result.confusion, confusion_matrix(labels, predicted, labels=names))
    precision, recall, f1, count = precision_recall_fscore_support(labels, predicted, labels=names, zero_division=0)
    np.testing.assert_allclose([one.precision for one in result.classes], precision)
    np.testing.assert_allclose([one.recall for one in result.classes], recall)
    np.testing.assert_allclose([one.f1 for one in result.classes], f1)
    assert [one.count for one in result.classes] == count.tolist()
    wrong = result.mistakes
    assert set(wrong.tolist()) == set(np.flatnonzero(predicted != labels).tolist())
    assert (np.diff(probabilities[wrong].max(axis=1)) <= 0).all()


def test_shapes_that_do_not_belong_together() -> None:
    with pytest.raises(EvaluationError, match="expected labels"):
        evaluate_classifier(np.zeros(3, np.int64), np.zeros((2, 4), np.float32))
    with pytest.raises(EvaluationError, match="expected labels"):
        evaluate_classifier(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
