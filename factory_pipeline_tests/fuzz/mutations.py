"""Ways in which bytes and documents come damaged, drawn at random."""

import copy
from random import Random
from typing import Any

MOST_CHANGES = 6
ODD_BYTES = (
    b"",
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"{",
    b"[",
    b"\n",
    b",",
    b'"',
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\0",
    "../../x",
    "\N{GREEK SMALL LETTER ALPHA}" * 300,
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    [],
    {},
    [[]],
    [None],
    [1, 2],
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
    {"": None},
)


def damage(content: bytes, random: Random) -> bytes:
    """Return bytes that are cut off, flipped, overwritten, repeated, removed or inserted at a few places."""
    changed = bytearray(content)
    for _ in range(random.randint(1, MOST_CHANGES)):
        place = random.randint(0, max(len(changed) - 1, 0))
        length = random.choice((1, 2, 4, 8, 64, 512))
        kind = random.randint(0, 5)
        if kind == 0 and changed:
            changed[place] ^= 1 << random.randint(0, 7)
        elif kind == 1:
            changed[place : place + length] = bytes(random.randint(0, 255) for _ in range(length))
        elif kind == 2:
            odd = random.choice(ODD_BYTES)
            changed[place : place + len(odd)] = odd
        elif kind == 3:
            changed[place:place] = changed[place : place + length]
        elif kind == 4:
            del changed[place : place + length]
        elif random.randint(0, 3) == 0:
            del changed[place:]
    return bytes(changed)


def alter(document: Any, random: Random) -> Any:
    """Return a document of which a few values, keys or members are others, away, or where others were."""
    changed = {"": copy.deepcopy(document)}
    for _ in range(random.randint(1, MOST_CHANGES)):
        places = list(_places(changed))
        holder, key = places[random.randint(0, len(places) - 1)]
        kind = random.randint(0, 4)
        if kind <= 1:
            holder[key] = copy.deepcopy(random.choice(ODD_VALUES))
        elif kind == 2:
            other, name = places[random.randint(0, len(places) - 1)]
            holder[key] = copy.deepcopy(other[name])
        elif key == "":
            continue
        elif kind == 3:
            del holder[key]
        elif isinstance(holder, dict):
            holder[
                random.choice(("type", "id", "\N{LATIN SMALL LETTER E WITH ACUTE}", "", str(key).upper()))
            ] = holder.pop(key)
        else:
            holder.insert(key, copy.deepcopy(holder[key]))
    return changed[""]


def _places(holder: Any) -> Any:
    """Yield each value of a document as what holds it, and its key or index there."""
    pending = [holder]
    while pending:
        inner = pending.pop()
        for key in list(inner) if isinstance(inner, dict) else range(len(inner)):
            yield inner, key
            if isinstance(inner[key], dict | list):
                pending.append(inner[key])
