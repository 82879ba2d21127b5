"""The augmentations that a version is made with: what may be asked for, and reading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from factory_pipeline.errors import ArgumentError

ARGUMENT = "augmentation_list"
CATEGORY = "IMAGE_LEVEL"
"""The only category of augmentations that there is."""

SWITCH = None
"""Of a property that is True or False."""
OPERATIONS: Mapping[str, Mapping[str, tuple[float, float] | None]] = {
    "FLIP_IMAGE": {"FLIP_HORIZONTAL": SWITCH, "FLIP_VERTICAL": SWITCH},
    "IMAGE_ROTATION": {"PERCENTAGE_SCALE": (-360, 360)},
    "IMAGE_BLUR": {"BLUR": (0, 15)},
    "NINETY_ROTATION": {"CLOCKWISE": SWITCH, "COUNTER_CLOCKWISE": SWITCH, "UPSIDE_DOWN": SWITCH},
    "GRAYSCALE": {"GRAYSCALE_PERCENTAGE": (0, 100)},
    "HUE": {"HUE_DEGREES": (-50, 50)},
    "SATURATION": {"SATURATION_DEGREES": (-50, 50)},
    "BRIGHTNESS": {"BRIGHTNESS_DEGREES": (-50, 50)},
    "NOISE": {"NOISE_PERCENTAGE": (0, 100)},
    "SHEAR": {"SHEAR_HORIZONTAL": (-40, 40), "SHEAR_VERTICAL": (-40, 40)},
    "CROP": {"CROP_PERCENTAGE": (0, 100)},
}
"""The properties of each operation, and the numbers that a property takes two of; both in the order in which
copies are made."""


@dataclass(frozen=True)
class Property:
    """A property that is on."""

    id: str
    values: tuple[float, ...]
    """The least and the greatest value of a range, or True alone."""


@dataclass(frozen=True)
class Augmentation:
    """An operation that augmented copies are made by."""

    id: str
    properties: tuple[Property, ...]
    """At least one; in the order of OPERATIONS."""

    def as_json(self) -> dict[str, Any]:
        """As JSON values; `parse_augmentations` reads a list of these again."""
        return {
            "id": self.id,
            "properties": [{"id": each.id, "values": list(each.values)} for each in self.properties],
        }


def parse_augmentations(augmentation_list: Any) -> tuple[Augmentation, ...]:
    """Read what augmentations are asked for.

    The same augmentations, written in another order or with other keys beside them, give the same tuple.

    Args:
        augmentation_list: `{"IMAGE_LEVEL": [{"id", "properties": [{"id", "values"}]}]}`, or the list alone;
            None for no augmentations. Other keys are passed over; an entry with `isSelected: False` is left
            out, and so is one whose properties are all False.

    Returns:
        In the order of OPERATIONS; the two numbers of a range in ascending order.

    Raises:
        ArgumentError: something in it is not allowed; the place is named as in
            `augmentation_list.IMAGE_LEVEL[1].properties[0].values`.
    """
    place, entries = _entries(augmentation_list)
    asked: dict[str, Augmentation] = {}
    for number, entry in enumerate(entries):
        here = f"{place}[{number}]"
        if not _is_selected(here, entry):
            continue
        operation = _known(f"{here}.id", entry.get("id"), OPERATIONS, "an augmentation", asked)
        properties = _properties(f"{here}.properties", entry.get("properties"), operation)
        asked[operation] = Augmentation(operation, properties)
    return tuple(asked[each] for each in OPERATIONS if each in asked and asked[each].properties)


def _entries(value: Any) -> tuple[str, list[Any]]:
    """The entries, and what their list is called."""
    if value is None:
        return ARGUMENT, []
    if not isinstance(value, Mapping):
        return ARGUMENT, _list(ARGUMENT, value, f"it must be a mapping such as {{'{CATEGORY}': [...]}}")
    for category, entries in value.items():
        if category != CATEGORY:
            raise ArgumentError(f"{ARGUMENT}.{category}", entries, f"the only category is {CATEGORY}")
    place = f"{ARGUMENT}.{CATEGORY}"
    allowed = "it must be a list of entries with `id` and `properties`"
    return place, _list(place, value.get(CATEGORY, []), allowed)


def _is_selected(place: str, entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        raise ArgumentError(place, entry, "it must be a mapping with `id` and `properties`")
    selected = entry.get("isSelected", True)
    if not isinstance(selected, bool):
        raise ArgumentError(f"{place}.isSelected", selected, "it must be True or False")
    return selected


def _properties(place: str, given: Any, operation: str) -> tuple[Property, ...]:
    """Those that are on."""
    known = OPERATIONS[operation]
    allowed = f"it must be a list that has any of {', '.join(known)}, each with its `values`"
    entries = _list(place, given, allowed)
    if not entries:
        raise ArgumentError(place, given, allowed)
    asked: dict[str, tuple[float, ...]] = {}
    for number, entry in enumerate(entries):
        here = f"{place}[{number}]"
        if not isinstance(entry, Mapping):
            raise ArgumentError(here, entry, "it must be a mapping with `id` and `values`")
        name = _known(f"{here}.id", entry.get("id"), known, f"a property of {operation}", asked)
        asked[name] = _values(f"{here}.values", entry.get("values"), known[name])
    return tuple(Property(each, asked[each]) for each in known if asked.get(each))


def _known(place: str, name: Any, known: Mapping[str, Any], what: str, asked: Mapping[str, Any]) -> str:
    """The id of an operation or of a property, which may be given once."""
    if not isinstance(name, str) or name not in known:
        raise ArgumentError(place, name, f"it must be {what}: {', '.join(known)}")
    if name in asked:
        raise ArgumentError(place, name, "it is in the list already; name it once")
    return name


def _values(place: str, given: Any, limits: tuple[float, float] | None) -> tuple[float, ...]:
    """What is given for a property; nothing where it is False."""
    if limits is None:
        allowed = "it must be a list of True or False alone, such as [True]"
        values = _list(place, given, allowed)
        if len(values) != 1 or not isinstance(values[0], bool):
            raise ArgumentError(place, given, allowed)
        return (True,) if values[0] else ()
    low, high = limits
    allowed = f"it must be a list of two numbers from {low:g} to {high:g}"
    values = _list(place, given, allowed)
    if len(values) != 2 or not all(_is_number(value) and low <= value <= high for value in values):
        raise ArgumentError(place, given, allowed)
    # Adding zero makes 0.0 of -0.0, which would be told apart in JSON.
    least, greatest = sorted(float(value) + 0.0 for value in values)
    return least, greatest


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _list(place: str, value: Any, allowed: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ArgumentError(place, value, allowed)
    return list(value)
