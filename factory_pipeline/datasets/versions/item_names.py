"""Names of the items of a version: what the files of every export are called."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence

MOST_BYTES = 120
"""Of a name in UTF-8: room is left for what is added to it, as file systems allow 255."""
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""What Windows keeps for devices, with any suffix
(https://learn.microsoft.com/windows/win32/fileio/naming-a-file)."""
_DIGITS = (0, 8, 16, 32, 64)
"""How many digits of the hash are added to a name, the first number that tells it from all others."""


def safe_name(item_id: str) -> str:
    """The id of an item as the stem of a file on every system: no separators, not hidden, NFC.

    >>> safe_name("tiles/Überflutung 1")
    'tiles_Überflutung 1'
    """
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", item_id))
    # Half a surrogate pair is no text that a file could be named by.
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
    """Name every item by its id; where two would be the same to any file system, by a hash too.

    Args:
        ids: of the items.
        contents: a hash of the content of each; no two items have the same id and the same content.
        kept: the name that an item has already and keeps, or None.
        endings: what the names of augmented copies end in, in lower case; no item may look like a copy of
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

    def named(place: int) -> str:
        digits = _DIGITS[levels[place]]
        return stays[place] or (f"{plain[place]}-{digests[place][:digits]}" if digits else plain[place])

    names = [named(place) for place in range(len(ids))]
    while clashing := [place for place in _clashing(names) if stays[place] is None]:
        for place in clashing:
            levels[place] += 1
            names[place] = named(place)
    return names


def _clashing(names: Sequence[str]) -> list[int]:
    """The places of names that are the same where case and the coding of accents do not count."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        places[unicodedata.normalize("NFC", name.casefold())].append(place)
    return [place for same in places.values() if len(same) > 1 for place in same]
