"""Reading one source of a batch: every date of every window, in portions that bound the memory."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.builds.chips.reading import read_batch_each
from factory_pipeline.builds.chips.terrain import slope_percent
from factory_pipeline.builds.rasters.composites import FIRST_CHOICE, Composite, start_composite
from factory_pipeline.builds.rasters.freed_memory import return_freed_memory
from factory_pipeline.builds.rasters.pixels import (
    Valid,
    Values,
    clear_ground,
    convert,
    fill_holes,
    is_without_holes,
)
from factory_pipeline.builds.rasters.source_layer import SourceLayer
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead, WindowReader
from factory_pipeline.cog.recycled import Recycler
from factory_pipeline.config.source_layout import SLOPE
from factory_pipeline.stac.scenes import PixelMeaning, Scene
from factory_pipeline.stac.select_scenes import Acquisition, Choice

PORTION_BYTES = 96 * 2**20
"""Of pixels that are read before they are combined."""
MOST_IN_MEMORY = 32 * 2**20
"""Bytes of the pictures of a median that are kept in memory, and of its intermediate values."""
NO_TIME = np.iinfo(np.int64).min
"""The time of a step without a scene."""
_BYTES_PER_PIXEL = 12
"""Of a pixel of a band while it is combined."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SourceStack:
    """What a batch shows of one source."""

    values: Values
    """(windows, steps, bands, rows, columns)."""
    valid: Valid
    """(windows, steps, rows, columns): True where all bands hold data and the ground is seen."""
    times: NDArray[np.int64]
    """(windows, steps) microseconds since 1970 UTC; NO_TIME if a step has no scene. Of several scenes that of
    the middle one."""
    items: list[list[str]]
    """For each window and step the ids of the STAC items, joined by `;`."""
    clouds: NDArray[np.float64]
    """(windows,) mean cloud cover of its scenes in percent; NaN without."""
    failures: dict[int, ReadFailure]
    """Windows of which something could not be read."""


@dataclass(frozen=True)
class _Task:
    """Acquisitions of one step of one window that are read together: all, or as many as fit in memory."""

    window: int
    step: int
    acquisitions: tuple[Acquisition, ...]
    is_last: bool = True
    """Whether the step has no more of them."""


class _OpenStep:
    """A step of a window of which some acquisitions have been read."""

    def __init__(self, layer: SourceLayer) -> None:
        self._composite: Composite = start_composite(layer.source.composite, layer.nodata, MOST_IN_MEMORY)
        self._used: list[Acquisition] = []

    def add(self, acquisition: Acquisition, values: Values, valid: Valid) -> None:
        self._composite.add(values, valid)
        if valid.any():
            self._used.append(acquisition)

    def finish(self, window: int, step: int, stack: SourceStack) -> None:
        place = window, step
        stack.values[place], stack.valid[place] = self._composite.finish()
        _note_scenes(stack, window, step, self._used)


@dataclass(frozen=True)
class _Run:
    """Scenes of an acquisition that follow each other in its mosaic and whose pixels mean the same."""

    hrefs: tuple[str, ...]
    band: int
    meaning: PixelMeaning


@dataclass(frozen=True)
class _AssetRuns:
    """What is read of an asset of an acquisition."""

    name: str
    resampling: Resampling
    runs: tuple[_Run, ...]


def read_source(
    layer: SourceLayer,
    grids: Sequence[Grid],
    choices: Sequence[Choice],
    reader: WindowReader,
    recycler: Recycler | None = None,
) -> SourceStack:
    """Read a source on the windows of a batch.

    Args:
        layer: the source.
        grids: of its part of each window.
        choices: the scenes of each window and step.
        reader: reads the windows.
        recycler: makes the arrays of the values; None for arrays that are new.

    Raises:
        SourceUnavailableError: the archive is unavailable.
    """
    count, steps, bands, size = len(grids), layer.count_of_steps, len(layer.bands), layer.size
    shape = count, steps, bands, size, size
    stack = SourceStack(
        values=np.empty(shape, layer.dtype) if recycler is None else recycler.empty(shape, layer.dtype),
        valid=np.zeros((count, steps, size, size), np.bool_),
        times=np.full((count, steps), NO_TIME, np.int64),
        items=[[""] * steps for _ in range(count)],
        clouds=np.array([_mean_cloud_cover(choice) for choice in choices]),
        failures={},
    )
    tasks = [
        _Task(window, step, acquisitions)
        for step in range(steps)
        for window, choice in enumerate(choices)
        if (acquisitions := choice.steps[step])
    ]
    opened: dict[tuple[int, int], _OpenStep] = {}
    for portion in _portions(tasks, layer):
        _read_portion(portion, layer, grids, reader, stack, opened)
        return_freed_memory()
    for window, choice in enumerate(choices):
        for step in range(steps):
            if window in stack.failures or not choice.steps[step]:
                stack.values[window, step] = np.asarray(layer.nodata)[:, None, None]
    return stack


def _portions(tasks: Sequence[_Task], layer: SourceLayer) -> Iterator[list[_Task]]:
    """Yield tasks that are read together; one with more acquisitions than fit in a portion is divided."""
    per_picture = len(layer.request.assets) * layer.size**2 * _BYTES_PER_PIXEL
    room = max(1, PORTION_BYTES // per_picture)
    portion: list[_Task] = []
    pictures = 0
    for task in (part for whole in tasks for part in _divide(whole, room)):
        pictures += len(task.acquisitions)
        if portion and pictures > room:
            yield portion
            portion, pictures = [], len(task.acquisitions)
        portion.append(task)
    if portion:
        yield portion


def _divide(task: _Task, room: int) -> Iterator[_Task]:
    for start in range(0, len(task.acquisitions), room):
        some = task.acquisitions[start : start + room]
        yield _Task(task.window, task.step, some, is_last=start + room >= len(task.acquisitions))


def _read_portion(
    tasks: Sequence[_Task],
    layer: SourceLayer,
    grids: Sequence[Grid],
    reader: WindowReader,
    stack: SourceStack,
    opened: dict[tuple[int, int], _OpenStep],
) -> None:
    """Read a portion into the steps that are open; those that are complete go into the stack."""
    reads: list[WindowRead] = []
    owners: list[tuple[_Picture, int]] = []
    pictures: list[_Picture] = []
    # Many windows have the same scenes.
    known: dict[tuple[int, ...], list[_AssetRuns]] = {}
    for task in tasks:
        turn = _Turn(task, layer, stack, opened)
        for number, acquisition in enumerate(task.acquisitions):
            scenes = tuple(map(id, acquisition.scenes))
            if scenes not in known:
                known[scenes] = _assets_of(acquisition, layer)
            wanted = _reads_of(known[scenes], layer, grids[task.window])
            picture = _Picture(turn, number, known[scenes])
            pictures.append(picture)
            owners += [(picture, part) for part in range(len(wanted))]
            reads += wanted

    def take(place: int, answer: ReadWindow | ReadFailure) -> None:
        picture, part = owners[place]
        if picture.put(part, answer):
            picture.make(layer)

    read_batch_each(reader, reads, take)
    for picture in pictures:
        if picture.failure is not None:
            stack.failures.setdefault(picture.window, picture.failure)


class _Turn:
    """What is read of a step at a time: its pictures are combined in their order, whichever comes first."""

    def __init__(
        self,
        task: _Task,
        layer: SourceLayer,
        stack: SourceStack,
        opened: dict[tuple[int, int], _OpenStep],
    ) -> None:
        self.task = task
        self._stack = stack
        self._opened = opened
        self._layer = layer
        self._made: dict[int, tuple[Values, Valid] | None] = {}
        self._next = 0
        self._failed = False
        self._combining = threading.Lock()
        place = task.window, task.step
        self.place = place if self._is_alone and place not in opened else None
        """Where the picture goes if the step has no other."""

    @property
    def _is_alone(self) -> bool:
        one = len(self.task.acquisitions) == 1 and self.task.is_last
        return one and self._layer.source.composite in FIRST_CHOICE

    def target(self) -> tuple[Values, Valid]:
        """Return arrays for a picture: (bands, rows, columns) and (rows, columns)."""
        if self.place is not None:
            return self._stack.values[self.place], self._stack.valid[self.place]
        size = self._layer.size
        shape = len(self._layer.bands), size, size
        return np.empty(shape, self._layer.dtype), np.empty(shape[1:], np.bool_)

    def add(self, number: int, made: tuple[Values, Valid] | None) -> None:
        """Take a picture, None for one that could not be read; combine those whose turn it is."""
        task = self.task
        if self.place is not None:
            if made is not None:
                used = task.acquisitions if made[1].any() else ()
                _note_scenes(self._stack, task.window, task.step, used)
            return
        with self._combining:
            self._made[number] = made
            while self._next in self._made:
                self._combine(task.acquisitions[self._next], self._made.pop(self._next))
                self._next += 1
            if self._next == len(task.acquisitions) and task.is_last:
                open_step = self._opened.pop((task.window, task.step), None)
                if open_step is not None and not self._failed and task.window not in self._stack.failures:
                    open_step.finish(task.window, task.step, self._stack)

    def _combine(self, acquisition: Acquisition, made: tuple[Values, Valid] | None) -> None:
        if made is None:
            self._failed = True
            return
        place = self.task.window, self.task.step
        if place not in self._opened:
            self._opened[place] = _OpenStep(self._layer)
        self._opened[place].add(acquisition, *made)


class _Picture:
    """An acquisition on a window, of which the parts come one after the other."""

    def __init__(self, turn: _Turn, number: int, assets: Sequence[_AssetRuns]) -> None:
        self.failure: ReadFailure | None = None
        self._turn = turn
        self._number = number
        self._assets = assets
        self._count = sum(len(asset.runs) for asset in assets)
        self._parts: dict[int, ReadWindow | ReadFailure] = {}
        self._counting = threading.Lock()

    @property
    def window(self) -> int:
        return self._turn.task.window

    def put(self, part: int, answer: ReadWindow | ReadFailure) -> bool:
        """Take a part; return whether it is the last."""
        with self._counting:
            self._parts[part] = answer
            return len(self._parts) == self._count

    def make(self, layer: SourceLayer) -> None:
        """Make the picture of its parts and add it to its step."""
        answers = [self._parts[part] for part in range(self._count)]
        self._parts.clear()
        self.failure = next((answer for answer in answers if isinstance(answer, ReadFailure)), None)
        if self.failure is not None:
            self._turn.add(self._number, None)
            return
        made = self._turn.target()
        found = [answer for answer in answers if isinstance(answer, ReadWindow)]
        _fill_picture(layer, self._assets, found, *made)
        self._turn.add(self._number, made)


def _note_scenes(stack: SourceStack, window: int, step: int, used: Sequence[Acquisition]) -> None:
    """Note the time and the items of what a step shows."""
    if used:
        times = sorted(_microseconds(acquisition.time) for acquisition in used)
        stack.times[window, step] = times[(len(times) - 1) // 2]
        stack.items[window][step] = ";".join(scene.id for acquisition in used for scene in acquisition.scenes)


def _assets_of(acquisition: Acquisition, layer: SourceLayer) -> list[_AssetRuns]:
    """Return what is read of an acquisition: each asset, then the one that tells clear pixels."""
    return [
        _AssetRuns(
            name,
            layer.resampling(name) if name in layer.assets else Resampling.NEAREST,
            tuple(_group_runs(acquisition.scenes, name)),
        )
        for name in layer.request.assets
    ]


def _reads_of(assets: Sequence[_AssetRuns], layer: SourceLayer, grid: Grid) -> list[WindowRead]:
    around = grid.padded(1) if layer.source.derive else grid
    return [
        WindowRead(
            run.hrefs, around, asset.resampling, run.band, run.meaning.nodata, run.meaning.default_nodata
        )
        for asset in assets
        for run in asset.runs
    ]


def _group_runs(scenes: Sequence[Scene], asset: str) -> list[_Run]:
    runs: list[_Run] = []
    for scene in scenes:
        raster = scene.assets[asset]
        if runs and (runs[-1].band, runs[-1].meaning) == (raster.band, raster.meaning):
            runs[-1] = _Run((*runs[-1].hrefs, raster.href), raster.band, raster.meaning)
        else:
            runs.append(_Run((raster.href,), raster.band, raster.meaning))
    return runs


def _fill_picture(
    layer: SourceLayer,
    assets: Sequence[_AssetRuns],
    answers: Sequence[ReadWindow],
    made: Values,
    seen_ground: Valid,
) -> None:
    """Make the picture of an acquisition.

    Args:
        layer: the source.
        assets: what was read of the acquisition.
        answers: of each run.
        made: (bands, rows, columns), written to.
        seen_ground: (rows, columns), written to: where all bands hold data and show the ground.
    """
    left = iter(answers)
    source = layer.source
    physical = source.values == "physical"
    values: list[Values] = []
    holds: list[Valid] = []
    seen: Valid | None = None
    for asset in assets:
        name = asset.name
        parts = [(run, next(left)) for run in asset.runs]
        if source.mask is not None and name == source.mask.asset:
            flags, known = _join_parts([(answer.values, answer.valid) for _, answer in parts])
            seen = clear_ground(flags, known, source.mask)
        if name in layer.assets:
            described = layer.assets[name]
            converted = [
                (
                    convert(answer.values, answer.valid, run.meaning, described, layer.dtype, physical),
                    answer.valid,
                )
                for run, answer in parts
            ]
            pixels, valid = _join_parts(converted)
            values.append(pixels)
            holds.append(valid)
    if SLOPE in source.derive:
        values, holds = _with_slope(values[0], holds[0], layer.pixel_size)
    for band, pixels in zip(made, values, strict=True):
        band[:] = pixels
    seen_ground[:] = True
    partial = [hold for hold in (*holds, seen) if hold is not None and not is_without_holes(hold)]
    for hold in partial:
        seen_ground &= hold
    if partial:
        fill_holes(made, seen_ground, layer.nodata)


def _join_parts(parts: Sequence[tuple[Values, Valid]]) -> tuple[Values, Valid]:
    """Return the first part that holds data at a pixel."""
    values, valid = parts[0]
    for others, hold in parts[1:]:
        values = np.where(valid, values, others)
        valid = valid | hold
    return values, valid


def _with_slope(altitude: Values, valid: Valid, pixel_size: float) -> tuple[list[Values], list[Valid]]:
    """Return altitude and slope without the margin; a slope needs all of the pixels around it."""
    known = np.where(valid, altitude, np.nan).astype(np.float32)
    slope = slope_percent(known, pixel_size)
    return [altitude[1:-1, 1:-1], slope], [valid[1:-1, 1:-1], np.isfinite(slope)]


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _mean_cloud_cover(choice: Choice) -> float:
    clouds = [
        scene.cloud_cover
        for acquisitions in choice.steps
        for acquisition in acquisitions
        for scene in acquisition.scenes
        if scene.cloud_cover is not None
    ]
    return float(np.mean(clouds)) if clouds else float("nan")
