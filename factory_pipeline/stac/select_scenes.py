"""Which scenes are taken for each window and step: a join in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.cog.grid import Grid
from factory_pipeline.errors import RecipeError
from factory_pipeline.stac.acquisitions import newest_processings, number_acquisitions
from factory_pipeline.stac.items import UnusableItem
from factory_pipeline.stac.longitudes import TURN, turn
from factory_pipeline.stac.scene_search import Step
from factory_pipeline.stac.scenes import Scene

_ROUNDING = 1e-6
"""Degrees by which outlines of neighbouring scenes may miss each other."""


@dataclass(frozen=True)
class Acquisition:
    """The scenes of one pass that show a window."""

    scenes: tuple[Scene, ...]
    """Mosaicked in this order; no more than are needed to show the whole window."""
    covers: bool
    """Whether their outlines leave no part of the window out."""

    @property
    def time(self) -> datetime:
        """When it was taken, in UTC."""
        return self.scenes[0].time

    @property
    def cloud_cover(self) -> float:
        """Percent of its cloudiest scene; 0 where the collection has none."""
        return max(scene.cloud_cover or 0.0 for scene in self.scenes)


@dataclass(frozen=True)
class Preference:
    """Which acquisitions are in question, and which come first."""

    select: str = "nearest"
    """`nearest` in time, `newest`, `least_cloudy`, or `all` in the order of their times."""
    several: bool = False
    """Whether all are taken, for a composite, or the first alone."""
    where: str | None = None
    """A SQL condition over the properties of items."""
    any_time: bool = False
    """Whether all scenes are of one mosaic, as those of a terrain model."""
    max_cloud_cover: float | None = None
    """In percent; scenes that have as much, or do not tell, are left out. None: any."""


@dataclass(frozen=True)
class Choice:
    """What is taken for one window."""

    steps: tuple[tuple[Acquisition, ...], ...]
    """For each step the acquisitions, first choice first; none where the catalog has none."""
    missed: tuple[UnusableItem, ...]
    """Items that might have been taken, were they usable, where a step has no acquisition."""


def choose_scenes(
    bounds: NDArray[np.float64],
    crs: Sequence[int],
    steps: Sequence[Sequence[Step]],
    scenes: Sequence[Scene],
    preference: Preference,
    unusable: Sequence[UnusableItem] = (),
) -> list[Choice]:
    """Choose for each window and step.

    Of several processings of one acquisition and tile the newest alone is in question, and left out where it
    is cloudier than allowed, even if an older one is not. An acquisition that
    shows the whole window is preferred to one that does not; then the preference decides, then the id.

    Args:
        bounds: (windows, 4) west, south, east, north in degrees; east may pass 180.
        crs: EPSG code of each window: scenes in the same CRS come first in a mosaic.
        steps: of each window.
        scenes: what a search found; may hold others too.
        preference: of the recipe.
        unusable: what the search found that can't be used.

    Raises:
        RecipeError: the SQL condition can't be used.
    """
    in_question = _select_allowed(scenes, preference.where)
    known = in_question if preference.any_time else newest_processings(in_question)
    known = [scene for scene in known if _is_clear(scene.cloud_cover, preference)]
    numbers = [0] * len(known) if preference.any_time else number_acquisitions(known)
    boxes = shapely.box(*bounds.T)
    outlines = np.array([scene.outline for scene in known], dtype=object)
    shown = _pairs(boxes, outlines)
    lost = _pairs(boxes, np.array([_extent(item) for item in unusable], dtype=object))
    order = _ORDERS[preference.select]
    choices = []
    for window, of_window in enumerate(steps):
        here = [(numbers[scene], known[scene], covers) for scene, covers in shown[window]]
        taken = tuple(
            _select_step(step, here, boxes[window], crs[window], order, preference.several)
            for step in of_window
        )
        missed = {
            unusable[item].id: unusable[item]
            for step, acquisitions in zip(of_window, taken, strict=True)
            if not any(acquisition.covers for acquisition in acquisitions)
            for item, _ in lost[window]
            if _may_be_of(unusable[item], step, preference)
        }
        choices.append(Choice(taken, tuple(missed.values())))
    return choices


Order = Callable[[Acquisition, Step], tuple[float, ...]]


def _distance(acquisition: Acquisition, step: Step) -> float:
    """Seconds between a step's centre and the time that an acquisition shows."""
    first, centre = acquisition.scenes[0], step.centre
    if centre is None or first.start <= centre <= first.end:
        return 0.0
    return min(abs(time - centre) for time in (first.start, first.time, first.end)).total_seconds()


_ORDERS: Mapping[str, Order] = {
    "nearest": lambda acquisition, step: (_distance(acquisition, step),),
    "newest": lambda acquisition, _: (-acquisition.time.timestamp(),),
    "least_cloudy": lambda acquisition, step: (acquisition.cloud_cover, _distance(acquisition, step)),
    "all": lambda acquisition, _: (acquisition.time.timestamp(),),
}


def _select_step(
    step: Step,
    here: Sequence[tuple[int, Scene, bool]],
    box: shapely.Geometry,
    epsg: int,
    order: Order,
    several: bool,
) -> tuple[Acquisition, ...]:
    passes: dict[int, list[tuple[Scene, bool]]] = {}
    for number, scene, covers in here:
        in_time = (
            step.start is None or step.end is None or (scene.end >= step.start and scene.start <= step.end)
        )
        if in_time:
            passes.setdefault(number, []).append((scene, covers))
    acquisitions = [_mosaic(members, box, epsg) for members in passes.values()]
    acquisitions.sort(key=lambda each: (not each.covers, *order(each, step), each.scenes[0].id))
    if several:
        acquisitions.sort(key=lambda each: (*order(each, step), each.scenes[0].id))
        return tuple(acquisitions)
    return tuple(acquisitions[:1])


def _mosaic(members: Sequence[tuple[Scene, bool]], box: shapely.Geometry, epsg: int) -> Acquisition:
    """As many scenes as show the window: the first that shows all of it, else all that show some."""

    def rank(member: tuple[Scene, bool]) -> tuple[bool, bool, str]:
        scene, covers = member
        in_crs = isinstance(scene.grid, Grid) and scene.grid.epsg == epsg
        return not covers, not in_crs, scene.id

    ordered = sorted(members, key=rank)
    if ordered[0][1]:
        return Acquisition((ordered[0][0],), covers=True)
    scenes = tuple(scene for scene, _ in ordered)
    joined = shapely.union_all([turned for scene in scenes for turned in _span_around(scene.outline)])
    return Acquisition(scenes, bool(shapely.covers(shapely.buffer(joined, _ROUNDING), box)))


def _span_around(outline: shapely.Geometry) -> list[shapely.Geometry]:
    """An outline as it is, and a turn of the globe further east and west."""
    return [turn(outline, degrees) for degrees in (0.0, TURN, -TURN)]


def _pairs(boxes: NDArray[np.object_], outlines: NDArray[np.object_]) -> list[list[tuple[int, bool]]]:
    """For each window the outlines that show some of it, and whether each shows all of it."""
    found: list[dict[int, bool]] = [{} for _ in boxes]
    if not len(outlines):
        return [[] for _ in boxes]
    tree = shapely.STRtree(outlines)
    for degrees in (0.0, TURN, -TURN):
        moved = shapely.transform(boxes, partial(np.add, (degrees, 0.0)))
        windows, members = tree.query(moved, predicate="intersects")
        covers = shapely.covers(outlines[members], moved[windows])
        for window, member, whole in zip(windows.tolist(), members.tolist(), covers.tolist(), strict=True):
            found[window][member] = found[window].get(member, False) or whole
    return [sorted(of_window.items()) for of_window in found]


def _extent(item: UnusableItem) -> shapely.Geometry:
    """Where an unusable item may be: anywhere, where it does not tell."""
    return shapely.box(-180, -90, 180, 90) if item.outline is None else item.outline


def _is_clear(cloud_cover: float | None, preference: Preference) -> bool:
    limit = preference.max_cloud_cover
    return limit is None or (cloud_cover is not None and cloud_cover < limit)


def _may_be_of(item: UnusableItem, step: Step, preference: Preference) -> bool:
    if item.cloud_cover is not None and not _is_clear(item.cloud_cover, preference):
        return False
    return item.time is None or step.start is None or step.end is None or step.start <= item.time <= step.end


def _select_allowed(scenes: Sequence[Scene], where: str | None) -> list[Scene]:
    """The scenes whose properties meet a SQL condition; null meets none."""
    if where is None or not scenes:
        return list(scenes)
    names = sorted({name for scene in scenes for name in scene.properties})
    table = pl.DataFrame(
        [[scene.properties.get(name) for name in names] for scene in scenes],
        schema=names,
        orient="row",
        infer_schema_length=None,
        strict=False,
    )
    try:
        passes = table.select(pl.sql_expr(where).fill_null(False).alias("passes")).to_series()
    except pl.exceptions.PolarsError as error:
        first = str(error).partition("\n")[0].rstrip(".")
        raise RecipeError(
            f"The condition {where!r} on items can't be used: {first}. Their properties are"
            f" {', '.join(names)}."
        ) from error
    return [scene for scene, keep in zip(scenes, passes, strict=True) if keep]
