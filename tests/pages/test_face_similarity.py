"""The page on learning a similarity: an untrained look at first sight, a run, and its result."""

from __future__ import annotations

import pytest

from tests.pages.conftest import watch_jobs


def test_first_sight_is_an_untrained_encoder(open_page):
    page = open_page("face_similarity")
    assert any("Before any training" in text.value for text in page.caption)
    labels = [metric.label for metric in page.metric]
    assert labels == ["Known classes", "Unseen classes"]


@pytest.mark.parametrize("way", ["Triplets, semi-hard", "Binary, chi-square"])
def test_a_run_leads_to_its_result(open_page, way):
    page = open_page("face_similarity", similarity_data="Handwritten digits", similarity_way=way, similarity_steps="60")
    page.button(key="similarity_start").click().run()
    watch_jobs(page)
    assert not page.exception and not page.error
    assert any(slider.label == "The map at step" for slider in page.select_slider)
    assert any(metric.label in ("Active at the end", "Misjudged pairs") for metric in page.metric)


def test_own_folders_wait_for_a_zip(open_page):
    page = open_page("face_similarity", similarity_data="My own folders (zip)")
    assert page.button(key="similarity_start").disabled
    assert any("zip in which each person has a folder" in text.value for text in page.info)
