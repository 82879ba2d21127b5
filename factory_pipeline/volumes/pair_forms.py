"""The pairs of a spec in each form that is read: places as starts or centres, pairs as objects or lists.

What a pair is validated to is small, since a spec may have very many of them: a model for each would need
more memory than all else of an extraction.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, GetPydanticSchema, Tag

Side = Literal["src", "tgt"]
SIDES: tuple[Side, Side] = ("src", "tgt")


class SectionPlace(NamedTuple):
    """A place of a pair, in MIP 0 pixels."""

    x: int
    y: int
    z: int
    is_centre: bool
    """Whether it is the centre of the box, or its start."""


class SectionPair(NamedTuple):
    """A pair of a spec as it is written."""

    src: SectionPlace
    tgt: SectionPlace
    is_object: bool
    """Whether it is `{"src": place, "tgt": place}`, or `[place, place]`."""
    unknown: tuple[str, ...]
    """Keys that mean nothing, as paths behind the pair's."""

    def side_path(self, side: Side) -> str:
        """Return the JSON path of a place behind that of the pair."""
        return f".{side}" if self.is_object else f"[{SIDES.index(side)}]"


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class StartPlace(_Form):
    """The start of a box, in MIP 0 pixels."""

    x_start: int
    y_start: int
    z_start: int


class CentrePlace(_Form):
    """The centre of a box, in MIP 0 pixels."""

    x: int
    y: int
    z: int


_START, _CENTRE, _OBJECT, _LIST = "<start>", "<centre>", "<object>", "<list>"
FORM_TAGS = frozenset({_START, _CENTRE, _OBJECT, _LIST})
"""Tags of the forms: pydantic has them in the places of its errors, where they are to be removed."""


def _place_form(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return None
    starts, centres = ({*names} & value.keys() for names in (("x_start", "y_start", "z_start"), "xyz"))
    if starts and centres:
        return None
    return _CENTRE if centres else _START


def _pair_form(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return _OBJECT
    return _LIST if isinstance(value, list | tuple) else None


_PlaceForm = Annotated[
    Annotated[StartPlace, Tag(_START)] | Annotated[CentrePlace, Tag(_CENTRE)],
    Discriminator(
        _place_form,
        custom_error_type="place",
        custom_error_message="must be an object with x_start, y_start and z_start, or with x, y and z",
    ),
]


class PairObject(_Form):
    """A pair as an object."""

    src: _PlaceForm
    tgt: _PlaceForm


_PairForm = Annotated[
    Annotated[PairObject, Tag(_OBJECT)]
    | Annotated[list[_PlaceForm], Field(min_length=2, max_length=2), Tag(_LIST)],
    Discriminator(
        _pair_form,
        custom_error_type="pair",
        custom_error_message='must be {"src": place, "tgt": place} or [place, place]',
    ),
]


def _compact(pair: PairObject | list[StartPlace | CentrePlace]) -> SectionPair:
    is_object = isinstance(pair, PairObject)
    src, tgt = (pair.src, pair.tgt) if isinstance(pair, PairObject) else pair
    compact = SectionPair(_place(src), _place(tgt), is_object, ())
    unknown = [f".{key}" for key in pair.model_extra or {}] if isinstance(pair, PairObject) else []
    for side, place in zip(SIDES, (src, tgt), strict=True):
        unknown += [f"{compact.side_path(side)}.{key}" for key in place.model_extra or {}]
    return compact._replace(unknown=tuple(unknown)) if unknown else compact


def _place(form: StartPlace | CentrePlace) -> SectionPlace:
    if isinstance(form, StartPlace):
        return SectionPlace(form.x_start, form.y_start, form.z_start, is_centre=False)
    return SectionPlace(form.x, form.y, form.z, is_centre=True)


Pair = Annotated[
    SectionPair,
    GetPydanticSchema(lambda _, handler: handler(Annotated[_PairForm, AfterValidator(_compact)])),
]
"""A pair as pydantic reads it, in any of its forms; its JSON Schema is that of the forms."""


def mixed_places(pairs: list[SectionPair]) -> Iterator[str]:
    """Yield a fault for each place that is a start where the first is a centre, or the reverse."""
    first = pairs[0].src.is_centre if pairs else False
    names = "x, y, z" if first else "x_start, y_start, z_start"
    for number, pair in enumerate(pairs):
        for side in SIDES:
            if getattr(pair, side).is_centre is not first:
                yield (
                    f"$.pairs[{number}]{pair.side_path(side)}: must have {names}, as the first place has:"
                    " starts and centres of boxes are not mixed in one spec"
                )
