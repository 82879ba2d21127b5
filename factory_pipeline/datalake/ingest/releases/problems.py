"""What is wrong with the files of a release: each is named with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass

from factory_pipeline.errors import OnboardingError

MOST_NAMED = 5
"""Files that a message names; a report names all."""


@dataclass(frozen=True, order=True)
class Problem:
    """A file that can't be taken."""

    file: str
    """Its path in the archive, below the root folder."""
    reason: str
    """The rest of a sentence that begins with the file."""
    code: str = "CHECK_FAILED"

    def __str__(self) -> str:
        return f"{self.file} {self.reason}"


class LabelFileError(Exception):
    """A label file that can't be taken; the text is the reason of a Problem."""


def refuse(archive: str, problems: Iterable[Problem], *, skippable: bool = True) -> OnboardingError:
    """Return the error of a release with such files.

    Args:
        archive: what messages call it.
        problems: at least one.
        skippable: whether the others can be imported without them.
    """
    found = sorted(set(problems))
    named = "; ".join(map(str, found[:MOST_NAMED]))
    more = f"; and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
    hint = ". Mend them, or import the others with --skip-invalid" if skippable else ""
    return OnboardingError(found[0].code, f"The release {archive} can't be imported: {named}{more}{hint}.")
