"""The endings of the files of an archive, as suggestions for the suffixes of its images and labels."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.extract import ArchiveKind, archive_kind, open_tar, zip_files
from factory_pipeline.archives.safe_names import MemberFilter, tar_member
from factory_pipeline.archives.source import ArchiveSource, LocalSource
from factory_pipeline.config.intake_policy import IntakePolicy

ENDING = re.compile(r"(?:[_\-. ][A-Za-z]+)?(?:\.[A-Za-z0-9]+)+$")
"""The last word of a name, if it has no digits, and what follows it: `_mask.tif` of `tile_07_mask.tif`."""
NUMBERED = re.compile(r"[_\-. ][A-Za-z]+[0-9][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)+$")
"""The last word of a name with digits behind letters, and what follows it: `_s2.tif`, but also `_b7.tif`."""
MOST_MODALITIES = 8
"""More endings with digits than this are numbers of files rather than names of modalities."""
OF_IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2")
OF_LABELS = re.compile(
    r"mask|label|annotation|segmentation|target|truth|(?<![a-z0-9])(?:gt|lab|lbl|msk|seg|ann)(?![a-z0-9])",
    re.I,
)


def file_endings(url: str, policy: IntakePolicy) -> dict[str, int]:
    """Count the files of an archive by their endings, the most frequent first; their content is not read.

    Empty for a tar on another host, which would have to be downloaded.

    Args:
        url: of the archive: an address or a path.
        policy: limits what may be opened and listed.

    Returns:
        Number of files by ending, such as `{"_merged.tif": 40, ".mask.tif": 40}`.

    Raises:
        OnboardingError: the archive can't be opened or listed.
    """
    found: Counter[str] = Counter()
    numbered: dict[str, Counter[str]] = {}
    with open_source(url, policy) as source:
        for path in _names(source, policy):
            name = PurePosixPath(path).name
            if match := ENDING.search(name):
                found[match[0]] += 1
                longer = NUMBERED.search(name)
                numbered.setdefault(match[0], Counter())[longer[0] if longer else ""] += 1
    for ending, several in numbered.items():
        if _are_modalities(several):
            del found[ending]
            found.update(several)
    return dict(found.most_common())


def _are_modalities(numbered: Counter[str]) -> bool:
    """Return whether files end alike but for words with digits that name modalities, such as `_s1`, `_s2`."""
    return "" not in numbered and len(numbered) <= MOST_MODALITIES and min(numbered.values()) > 1


def suggested_suffixes(endings: dict[str, int]) -> tuple[str, str]:
    """Return the endings that images and labels seem to have, each empty if that is not clear."""
    rasters = [ending for ending in endings if ending.lower().endswith(OF_IMAGES)]
    labels = [ending for ending in rasters if OF_LABELS.search(ending)]
    images = [ending for ending in rasters if ending not in labels]
    return _single_ending(images), _single_ending(labels)


def _single_ending(endings: Sequence[str]) -> str:
    return endings[0] if len(endings) == 1 else ""


def _names(source: ArchiveSource, policy: IntakePolicy) -> Iterator[str]:
    if not source.ranged:
        return
    if archive_kind(source) is ArchiveKind.ZIP:
        yield from (name for name, _ in zip_files(source, source.url, policy))
    elif isinstance(source, LocalSource):
        gate = MemberFilter(source.url, policy)
        with open_tar(source, lambda _: None, source.url) as members:
            for _, info in members:
                member = tar_member(info, source.url)
                if gate.accepts(member):
                    yield member.name
