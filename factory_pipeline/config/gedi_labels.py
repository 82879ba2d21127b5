"""Labels that are GEDI's footprints: fields of several products, joined shot by shot."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, model_validator

from factory_pipeline.config.gedi_products import ProductName, Profile, gedi_products
from factory_pipeline.config.label_sources import LabelTime, Rules, Target
from factory_pipeline.config.lenient_keys import Names, as_list
from factory_pipeline.config.problems import problems_of, suggest_names
from factory_pipeline.config.recipe import Section
from factory_pipeline.errors import DocumentError
from factory_pipeline.yaml_document import read_yaml

SHOT_COLUMNS = ("shot_number", "beam", "granule", "delta_time", "latitude", "longitude")
"""What every shot has, whatever is read of the products."""
_FILTERS = Path(__file__).with_name("gedi_filters")
_FIELD = re.compile(r"(?P<field>\w+(?:/\w+)*)(?:\[(?P<index>\d+)\])?")
_PERCENTILE = re.compile(r"rh(\d{1,3})")
_NAME = re.compile(r"[A-Za-z_]\w*")


class GediColumn(Section):
    """One field of a product as a column."""

    name: str
    field: str
    """Path in the beam's group, as version 2 of the product names it."""
    index: int | None = None
    """Which value of a profile; None for all of them, or for a field with one value per shot."""


class _GediColumns(Section):
    """Fields of products that are read as columns."""

    products: dict[ProductName, tuple[GediColumn, ...]]
    """`sensitivity`, `geolocation/sensitivity_a2` (the column is called by the last part), `{height: rh98}`
    (a column of another name), `rh` (all 101 relative heights), `rh98` (one), `"pai_z[2]"` (one value)."""

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("products"), Mapping):
            return value
        products = {
            product: [_column(str(product), entry) for entry in entries]
            for product, entries in value["products"].items()
            if isinstance(entries, list | tuple)
        }
        return {**value, "products": {**value["products"], **products}}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = list(SHOT_COLUMNS)
        for product, column in self.columns():
            if column.name in names:
                raise ValueError(
                    f"products.{product} gives a second column {column.name}; call it otherwise, such as"
                    f" {{{product.lower()}_{column.name}: {column.field}}}"
                )
            names.append(column.name)
        return self

    def columns(self) -> Iterator[tuple[ProductName, GediColumn]]:
        """Return all columns, in the order of `gedi_products`, then in their own."""
        for product in gedi_products():
            for column in self.products.get(product, ()):
                yield product, column


def _column(product: str, entry: Any) -> Any:
    """Return a column as plain data, of what a recipe says: `rh98`, `{height: rh98}`, or of plain data."""
    if not isinstance(entry, Mapping):
        return _of_field(product, None, entry)
    if len(entry) == 1:
        ((name, field),) = entry.items()
        return _of_field(product, str(name), field)
    return entry


def _of_field(product: str, name: str | None, text: Any) -> dict[str, Any]:
    found = _FIELD.fullmatch(text) if isinstance(text, str) else None
    if found is None or (name is not None and not _NAME.fullmatch(name)):
        raise ValueError(
            f"products.{product} has {name or text!r}; a column is a field, such as sensitivity, a value of a"
            ' profile, such as "rh[98]", or {name: field}'
        )
    field, index = found["field"], found["index"]
    percentile = _PERCENTILE.fullmatch(field) if product == "L2A" else None
    if percentile is not None:
        name, field, index = name or field, "rh", percentile[1]
    if name is None:
        last = field.rpartition("/")[2]
        name = last if index is None else f"{last}_{index}"
    known = next((one for one in gedi_products().values() if one.product == product), None)
    profile = known.profile_of(field) if known is not None else None
    if profile is not None and index is not None and int(index) >= profile.length:
        raise ValueError(f"products.{product} has {text}; {field} has the values 0 to {profile.length - 1}")
    return {"name": name, "field": field, "index": None if index is None else int(index)}


class GediFilter(_GediColumns):
    """Rules of a publication, or of one's own, with the fields that they look at."""

    name: str = Field(pattern=r"[a-z0-9][a-z0-9._-]*")
    title: str
    reference: str = ""
    """Where the rules are published."""
    rules: Annotated[Rules, Field(min_length=1)]
    """SQL conditions over the columns and SHOT_COLUMNS; a shot counts for the first that it fails."""


def known_filters() -> tuple[str, ...]:
    """Return the names of the filters that come with this software."""
    return tuple(path.stem for path in sorted(_FILTERS.glob("*.yaml")))


def _filter(value: Any, info: ValidationInfo) -> Any:
    """Read a filter that is named, or given by the path of its file; relative paths start at the recipe."""
    if not isinstance(value, str):
        return value
    if value.endswith((".yaml", ".yml")):
        folder = (info.context or {}).get("folder")
        path = (folder or Path()) / Path(value).expanduser()
    elif value in known_filters():
        path = _FILTERS / f"{value}.yaml"
    else:
        raise ValueError(
            f"the filter {value!r} is not known{suggest_names(value, known_filters())}; known are"
            f" {', '.join(known_filters())}; of any other give the path of a file (.yaml) that describes it"
        )
    try:
        document = read_yaml(path, f"the filter file {path}")
    except DocumentError as error:
        raise ValueError(str(error)) from error
    try:
        return GediFilter.model_validate(document)
    except ValidationError as error:
        problems = problems_of(error, GediFilter, document)
        raise ValueError(f"the filter file {path} is not valid {problems}") from error


Filters = Annotated[tuple[Annotated[GediFilter, BeforeValidator(_filter)], ...], BeforeValidator(as_list)]


class GediLabels(_GediColumns):
    """Each shot of GEDI that all products have is a label."""

    kind: Literal["gedi"]
    path: str
    """A folder, or a prefix of an object store, with the granules of all products."""
    products: dict[ProductName, tuple[GediColumn, ...]] = Field(min_length=1)
    area: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; west greater than east means across the antimeridian. None keeps
    all."""
    filters: Filters = ()
    """Known ones by their names, or the paths of files."""
    keep: Rules = ()
    """SQL conditions over the columns and SHOT_COLUMNS."""
    target: Target | None = None
    """A column, which may be a whole profile."""
    extra: Names = ()
    """Of SHOT_COLUMNS, what is carried into the dataset; the columns always are."""
    incomplete: Literal["refuse", "drop"] = "refuse"
    """What is done where a granule of one product has no usable partner of another: `refuse` stops, as it may
    not have been downloaded or be damaged; `drop` leaves its shots out, each with a reason in the ledger."""
    is_raster: ClassVar[bool] = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = [column.name for _, column in self.columns()]
        if self.target is not None and self.target.column not in known:
            raise ValueError(
                f"target.column is {self.target.column!r}{suggest_names(self.target.column, known)}; products"
                f" have the columns {', '.join(known)}"
            )
        described = self.described(self.target.column) if self.target is not None else None
        if self.target is not None and self.target.classes and described and described.profile:
            raise ValueError(f"target.classes: {self.target.column} has several values per shot")
        if strange := set(self.extra) - set(SHOT_COLUMNS):
            raise ValueError(f"extra has {min(strange)!r}; allowed are {', '.join(SHOT_COLUMNS)}")
        return self

    @property
    def time(self) -> LabelTime:
        """A shot's own."""
        return LabelTime(column="delta_time")

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of all that is carried into the dataset."""
        return (*self.extra, *(column.name for _, column in self.columns()))

    @property
    def needed_products(self) -> tuple[ProductName, ...]:
        """The products that are joined: those of the columns and those that the filters look at."""
        sets: tuple[_GediColumns, ...] = (self, *self.filters)
        return tuple(name for name in gedi_products() if any(name in one.products for one in sets))

    def described(self, name: str) -> "ColumnDescription | None":
        """Return what is known of a column; None of SHOT_COLUMNS."""
        for product, column in self.columns():
            if column.name == name:
                known, index = gedi_products()[product], column.index
                return ColumnDescription(
                    title=f"{known.title}: {column.field}{'' if index is None else f'[{index}]'}",
                    unit=known.unit_of(column.field),
                    profile=known.profile_of(column.field) if index is None else None,
                )
        return None


@dataclass(frozen=True)
class ColumnDescription:
    """What a dataset file says of a column."""

    title: str
    unit: str
    """Empty if it has none."""
    profile: Profile | None
    """Along what it has several values per shot; None if it has one, or if that is not known."""

    @property
    def attributes(self) -> dict[str, Any]:
        """Where the values of a profile are."""
        if self.profile is None:
            return {}
        return {
            "axis": self.profile.axis,
            "axis_unit": self.profile.unit,
            "axis_values": self.profile.values,
        }
