"""Results that are kept: bounded, and of those asked for longest ago the first to go."""

from pages.parts.kept_jobs import Kept


def test_a_result_is_found_again_by_its_question():
    kept = Kept(2)
    assert kept.get(("search", "a")) is None
    kept.put(("search", "a"), 1)
    assert kept.get(("search", "a")) == 1


def test_the_one_that_was_longest_not_asked_for_goes_first():
    kept = Kept(2)
    kept.put("a", 1)
    kept.put("b", 2)
    kept.get("a")
    kept.put("c", 3)
    assert kept.get("b") is None
    assert (kept.get("a"), kept.get("c")) == (1, 3)
