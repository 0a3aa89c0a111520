"""The door of learning a similarity: an untrained look, and a training run as a job."""

from __future__ import annotations

from core.faces.similarity_types import SimilarityResult, SimilaritySettings
from core.runtime.report import Report


def untrained(data: str, settings: SimilaritySettings) -> SimilarityResult:
    """What a fresh encoder makes of the pictures "digits" or "drawn"."""
    from core.faces.similarity_data import picture_set
    from core.faces.similarity_learning import look_untrained

    return look_untrained(picture_set(data, None, settings.seed), settings)


def train_similarity(
    data: str, settings: SimilaritySettings, zipped: bytes | None = None, report: Report | None = None
) -> SimilarityResult:
    """Train an encoder on "digits", "drawn" or the zip of persons' folders ("own"), in every way of the settings.

    Raises:
        SimilarityDataError: If the zip cannot be used.
    """
    from core.faces.similarity_data import picture_set
    from core.faces.similarity_learning import learn_similarity

    result: SimilarityResult = learn_similarity(picture_set(data, zipped, settings.seed), settings, report)
    return result
