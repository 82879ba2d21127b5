"""How the files of an archive end, as suggestions for the suffixes of its images and labels."""

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
"""The last word of a name, where it has no digits, and what follows it: `_mask.tif` of `tile_07_mask.tif`."""
OF_IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2")
OF_LABELS = re.compile(r"mask|label|annotation|target|truth|\bgt\b", re.I)


def file_endings(url: str, policy: IntakePolicy) -> dict[str, int]:
    """Count the files of an archive by their endings, the most frequent first; nothing else of it is read.

    Empty for a tar on another host, which would have to be downloaded.

    Raises:
        OnboardingError: the archive can't be opened or listed.
    """
    with open_source(url, policy) as source:
        found = Counter(
            match[0] for name in _names(source, policy) if (match := ENDING.search(PurePosixPath(name).name))
        )
    return dict(found.most_common())


def suggested_suffixes(endings: dict[str, int]) -> tuple[str, str]:
    """The endings that images and labels seem to have, each empty where that is not plain."""
    rasters = [ending for ending in endings if ending.lower().endswith(OF_IMAGES)]
    labels = [ending for ending in rasters if OF_LABELS.search(ending)]
    images = [ending for ending in rasters if ending not in labels]
    return _only(images), _only(labels)


def _only(endings: Sequence[str]) -> str:
    return endings[0] if len(endings) == 1 else ""


def _names(source: ArchiveSource, policy: IntakePolicy) -> Iterator[str]:
    if not source.ranged:
        return
    if archive_kind(source) is ArchiveKind.ZIP:
        yield from (name for name, _ in zip_files(source, source.url, policy))
    elif isinstance(source, LocalSource):
        gate = MemberFilter(source.url, policy)
        with open_tar(source.path, lambda _: None, source.url) as members:
            for _, info in members:
                member = tar_member(info, source.url)
                if gate.accepts(member):
                    yield member.name
