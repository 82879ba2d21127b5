"""Names of the items of a version, which are the names of files in every export."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence

MOST_BYTES = 120
"""Length limit of a name in UTF-8; suffixes are added to it, and file systems allow 255 bytes."""
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows reserves for devices, with any suffix
(https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
"""
_DIGITS = (0, 8, 16, 32, 64)
"""Numbers of hash digits to add to a name; the first that makes it unique is used."""


def safe_name(item_id: str) -> str:
    """Return the id of an item as the stem of a file on every system: no separators, not hidden, NFC.

    >>> safe_name("tiles/Überflutung 1") 'tiles_Überflutung 1'
    """
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", item_id))
    # A lone surrogate is not valid in a file name.
    name = name.encode("utf-8", "replace").decode("utf-8").replace("?", "_")
    name = re.sub(r"^[. ]", "_", name)
    name = re.sub(r"[. ]$", "_", name)
    if not name or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name.encode("utf-8")[:MOST_BYTES].decode("utf-8", "ignore")


def unique_names(
    ids: Sequence[str],
    contents: Sequence[str],
    kept: Sequence[str | None],
    endings: Collection[str] = (),
) -> list[str]:
    """Name every item by its id; if two would be equal on any file system, also by a hash.

    Args:
        ids: of the items.
        contents: a hash of the content of each; no two items have the same id and the same content.
        kept: the existing name of an item, or None.
        endings: endings of the names of augmented copies, in lower case; no item may look like a copy of
            another one.

    Returns:
        A name per item. They do not depend on the order of the items.
    """
    copies = tuple(endings)
    plain = [safe_name(item_id) for item_id in ids]
    stays = [None if name is None or name.casefold().endswith(copies) else name for name in kept]
    digests = [
        hashlib.sha256(f"{content}\n{item_id}".encode("utf-8", "backslashreplace")).hexdigest()
        for item_id, content in zip(ids, contents, strict=True)
    ]
    cut = [len(item_id.encode("utf-8", "replace")) > MOST_BYTES for item_id in ids]
    levels = [
        int(is_cut or name.casefold().endswith(copies)) for name, is_cut in zip(plain, cut, strict=True)
    ]

    def named(index: int) -> str:
        digits = _DIGITS[levels[index]]
        return stays[index] or (f"{plain[index]}-{digests[index][:digits]}" if digits else plain[index])

    names = [named(index) for index in range(len(ids))]
    while clashing := [index for index in _find_clashes(names) if stays[index] is None]:
        for index in clashing:
            levels[index] += 1
            names[index] = named(index)
    return names


def _find_clashes(names: Sequence[str]) -> list[int]:
    """Return the positions of names that are equal if case and the encoding of accents are ignored."""
    indices: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        indices[unicodedata.normalize("NFC", name.casefold())].append(index)
    return [index for same in indices.values() if len(same) > 1 for index in same]
