"""How many examples hypothesis tries: as many as a test says, in unit tests fewer."""

from hypothesis import settings

FEW_EXAMPLES = "few examples"
"""The profile of `make test-fast`, which conftest.py loads before any test is read."""
ALL_EXAMPLES = "all examples"
"""The profile of every other run."""


def up_to(count: int) -> int:
    """Return the number of examples of a test that tries `count` of them where there is time."""
    if settings.get_current_profile_name() == FEW_EXAMPLES:
        return min(count, settings.default.max_examples)  # type: ignore[union-attr]
    return count
