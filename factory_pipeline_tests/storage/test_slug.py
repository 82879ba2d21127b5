import re

import pytest

from factory_pipeline.storage.slug import LONGEST_SLUG, SLUG_DIGITS, slug


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Balloons", "balloons"), ("  Burn -- Scars! ", "burn-scars"), ("v1.0", "v1-0"), ("a" * 60, "a" * 60)],
)
def test_plain_names_keep_their_letters(name: str, expected: str) -> None:
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["Forêt", "森林", "🎈", "a" * 61, "...", ""])
def test_what_cannot_be_kept_is_told_apart_by_a_digest(name: str) -> None:
    made = slug(name)
    assert re.fullmatch(rf"[a-z0-9-]+-[0-9a-f]{{{SLUG_DIGITS}}}", made)
    assert len(made) <= LONGEST_SLUG
    assert made != slug(f"{name}é")


def test_accents_are_the_same_however_they_are_coded() -> None:
    assert slug("Fore\u0302t") == slug("For\u00eat")
