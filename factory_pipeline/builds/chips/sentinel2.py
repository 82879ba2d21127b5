"""Sentinel-2 chips: the scene of each footprint's best product is checked, then its bands are read."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.chips.chip_stack import ChipStack, keep_chips
from factory_pipeline.builds.chips.radiometry import FLOOR, FLOOR_SHARE, as_counts, remove_offset
from factory_pipeline.builds.chips.reading import UNREADABLE, read_stacks
from factory_pipeline.builds.chips.scene_classification import (
    FRACTIONS_DTYPE,
    compute_scl_stats,
    describe_check,
    failed_checks,
)
from factory_pipeline.builds.chips.windows import window_at
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.cog.grid import Grid, GridStack
from factory_pipeline.cog.reader import (
    Indices,
    ReadFailure,
    ReadStack,
    Resampling,
    StackRead,
    TakeStack,
    WindowReader,
)
from factory_pipeline.config.recipe import Recipe, Sentinel2
from factory_pipeline.hdf5.schema import SCL_CLASSES
from factory_pipeline.stac.items import Product
from factory_pipeline.stac.select_products import Choices

STAGE = "sentinel2"
BAND_AT_FLOOR = "band_at_floor"
"""The reason of a footprint whose product has a band without a signal in the window."""
TABLE_SCHEMA: dict[str, pl.DataType] = {
    "shot_number": pl.Int64(),
    "item_id": pl.String(),
    "product_name": pl.String(),
    "product_time": pl.Datetime("us", "UTC"),
    "cloud_cover": pl.Float64(),
    "baseline": pl.String(),
    "offset_removed": pl.Int32(),
    "epsg": pl.Int32(),
    "left": pl.Float64(),
    "top": pl.Float64(),
    "scl_fractions": FRACTIONS_DTYPE,
}
"""Columns of the table of Sentinel-2 chips. `left` and `top` are of the window's corner in its CRS (m);
`cloud_cover` is the product's (%); `offset_removed` are counts, 0 where none was."""

Read = Callable[[Sequence[StackRead], TakeStack], None]
Chips = NDArray[np.uint16]
"""(chips, 1 + bands, rows, columns): SCL, then counts."""


@dataclass(frozen=True)
class Candidate:
    """A product that may be taken for a footprint."""

    shot_number: int
    product: Product
    window: Grid


@dataclass(frozen=True)
class ProductScene:
    """A candidate whose scene passed the checks."""

    candidate: Candidate
    scl: NDArray[np.uint8]
    """(rows, columns)."""
    fractions: NDArray[np.float64]
    """(12,)."""


@dataclass(frozen=True)
class Rejection:
    """Why a candidate was not taken."""

    reason: str
    detail: str


@dataclass
class Queue:
    """The candidates that are left for each footprint, best first, and why the others were not taken."""

    left: dict[int, deque[Candidate]]
    misses: dict[int, list[Rejection]] = field(default_factory=dict)

    def next_of(self, shot_numbers: Sequence[int]) -> list[Candidate]:
        """Take the best candidate that is left of each of these footprints; none where none is left."""
        return [self.left[shot].popleft() for shot in shot_numbers if self.left[shot]]

    def record_rejection(self, candidate: Candidate, reason: str, detail: str) -> None:
        """Note why a candidate is not taken.

        Args:
            candidate: a product for a footprint.
            reason: one of those in `reject_ledger`.
            detail: for people, with the numbers that were compared.
        """
        self.misses.setdefault(candidate.shot_number, []).append(
            Rejection(reason, f"{candidate.product.name}: {detail}")
        )


def extract_sentinel2(
    footprints: pl.DataFrame, choices: Choices, reader: WindowReader, recipe: Recipe
) -> ChipStack:
    """Read the chips of a batch.

    First the scene classification of every footprint's best product is read and checked, and that of the
    next best where it fails, then the bands of those that pass. SCL is resampled by nearest, bands
    bilinearly; bands of 10 m are copied.

    Args:
        footprints: the batch, with `shot_number`; chips come in this order.
        choices: the products to try for each footprint, from `choose_products`.
        reader: reads the windows.
        recipe: window size, bands, checks, whether the offset is removed.

    Returns:
        `sentinel2` (chips, 1 + bands, rows, columns) uint16: SCL, then counts; a table in TABLE_SCHEMA.
        Rejects have the reason of the best product: `no_product`, the check that failed,
        `band_at_floor` or `asset_unreadable`; their detail names every product that was tried.

    Raises:
        SourceUnavailableError: the archive is away.
    """
    rules, size = recipe.sentinel2, recipe.window_size
    queue = queue_candidates(choices, size)
    shots = [shot for shot in footprints["shot_number"] if shot in queue.left]
    places = {shot: place for place, shot in enumerate(shots)}
    # Each window goes into its chip when it is read: the chips are all of the pixels that are in memory.
    chips: Chips = np.zeros((len(shots), 1 + len(rules.bands), size, size), np.uint16)
    taken: dict[int, ProductScene] = {}
    waiting = list(queue.left)

    read_next: Read = partial(read_stacks, reader, is_batch=False)
    read: Read = partial(read_stacks, reader)
    while waiting:
        scenes = pass_scenes(queue, waiting, read, read_next, rules)
        fresh = read_bands(queue, scenes, chips, places, read, rules)
        taken |= {scene.candidate.shot_number: scene for scene in fresh}
        waiting = [scene.candidate.shot_number for scene in scenes]
        waiting = [shot for shot in waiting if shot not in taken]
        # What is requested now are second choices: that all of them fail says nothing about the archive.
        read = read_next
    kept = [shot for shot in shots if shot in taken]
    dropped = [shot for shot in footprints["shot_number"] if shot in queue.misses and shot not in taken]
    return ChipStack(
        chip_table([taken[shot] for shot in kept], rules),
        {"sentinel2": keep_chips(chips, [places[shot] for shot in kept])},
        pl.concat([missing_products(choices), list_missed(dropped, queue)]),
    )


def queue_candidates(choices: Choices, window_size: int) -> Queue:
    """Return the candidates of every footprint that has one, in the order in which they are tried.

    Args:
        choices: candidates of each footprint, the best first.
        window_size: rows and columns of a chip.
    """
    left: dict[int, deque[Candidate]] = {}
    columns = choices.frame.select("shot_number", "product", "row", "column")
    for shot, index, row, column in columns.iter_rows():
        product = choices.products[index]
        window = window_at(product.grid, row, column, window_size)
        left.setdefault(shot, deque()).append(Candidate(shot, product, window))
    return Queue(left)


def group_by_product(candidates: Sequence[Candidate]) -> list[tuple[Product, GridStack, Indices]]:
    """Return every product of some candidates, with their windows and their indices."""
    numbers: dict[int, list[int]] = {}
    for number, candidate in enumerate(candidates):
        numbers.setdefault(id(candidate.product), []).append(number)
    return [
        (
            candidates[own[0]].product,
            GridStack.of([candidates[number].window for number in own]),
            np.array(own, np.intp),
        )
        for own in numbers.values()
    ]


def pass_scenes(
    queue: Queue, shot_numbers: Sequence[int], read_first: Read, read_next: Read, rules: Sentinel2
) -> list[ProductScene]:
    """Return for each footprint the first of its candidates whose scene passes, if there is one.

    Args:
        queue: is left without the candidates that were tried.
        shot_numbers: footprints.
        read_first: reads the first candidate of all: an archive that has none of them is away.
        read_next: reads second choices, which may all fail.
        rules: of the recipe.
    """
    passed: list[ProductScene] = []
    undecided, read = list(shot_numbers), read_first
    while candidates := queue.next_of(undecided):
        fine = select_good_scenes(queue, read_scenes(queue, candidates, read), rules)
        passed += fine
        decided = {scene.candidate.shot_number for scene in fine}
        undecided = [shot for shot in undecided if shot not in decided]
        read = read_next
    return passed


def read_scenes(queue: Queue, candidates: Sequence[Candidate], read: Read) -> list[ProductScene]:
    """Return the scene classification of every candidate; without those that can't be read.

    Args:
        queue: where those that can't be read are noted.
        candidates: one per footprint.
        read: reads windows.
    """
    scl = np.zeros((len(candidates), *candidates[0].window.shape), np.uint8)
    failures: dict[int, ReadFailure] = {}

    def take(places: Indices, answer: ReadStack | ReadFailure) -> None:
        if isinstance(answer, ReadFailure):
            failures.update(dict.fromkeys(places.tolist(), answer))
        else:
            scl[places] = np.clip(answer.values, 0, 255)

    read(
        [
            StackRead((product.hrefs["SCL"],), windows, places, Resampling.NEAREST)
            for product, windows, places in group_by_product(candidates)
        ],
        take,
    )
    for place in sorted(failures):
        queue.record_rejection(candidates[place], UNREADABLE, failures[place].reason)
    found = [place for place in range(len(candidates)) if place not in failures]
    if not found:
        return []
    scl = keep_chips(scl, found)
    chosen = [candidates[place] for place in found]
    return [ProductScene(*each) for each in zip(chosen, scl, compute_scl_stats(scl), strict=True)]


def select_good_scenes(queue: Queue, scenes: Sequence[ProductScene], rules: Sentinel2) -> list[ProductScene]:
    """Return the scenes that pass every check.

    Args:
        queue: where the reasons of the others are noted.
        scenes: scene classifications.
        rules: of the recipe.
    """
    if not scenes:
        return []
    good = []
    reasons = failed_checks(np.stack([scene.scl for scene in scenes]), rules.checks)
    for scene, reason in zip(scenes, reasons, strict=True):
        if reason is None:
            good.append(scene)
        else:
            detail = describe_check(reason, scene.fractions, rules.checks)
            queue.record_rejection(scene.candidate, reason, f"{detail}.")
    return good


def read_bands(
    queue: Queue,
    scenes: Sequence[ProductScene],
    chips: Chips,
    places: Mapping[int, int],
    read: Read,
    rules: Sentinel2,
) -> list[ProductScene]:
    """Read the bands of every scene into its chip; return the scenes without those that can't be taken.

    Args:
        queue: where those are noted of which a band can't be read, or has no signal.
        scenes: that passed.
        chips: written to; the chip of a scene that is not returned has no meaning.
        places: the index of each footprint's chip.
        read: reads windows.
        rules: of the recipe.
    """
    count = len(rules.bands)
    rows = np.array([places[scene.candidate.shot_number] for scene in scenes], np.intp)
    offsets = [offset_to_remove(scene.candidate.product, rules) for scene in scenes]
    at_floor = np.zeros((len(scenes), count))
    failures: dict[int, ReadFailure] = {}

    def take(windows: Indices, answer: ReadStack | ReadFailure) -> None:
        if isinstance(answer, ReadFailure):
            failures.update(dict.fromkeys(windows.tolist(), answer))
            return
        numbers, bands = np.divmod(windows, count)
        counts, offset = as_counts(answer.values), offsets[numbers[0]]  # windows of a stack have one product
        pixels = counts.shape[1] * counts.shape[2]
        at_floor[numbers, bands] = np.count_nonzero(counts <= offset + FLOOR, axis=(1, 2)) / pixels
        chips[rows[numbers], 1 + bands] = remove_offset(counts, offset) if offset else counts

    read(
        [
            StackRead((product.hrefs[name],), windows, numbers * count + band, Resampling.BILINEAR)
            for product, windows, numbers in group_by_product([scene.candidate for scene in scenes])
            for band, name in enumerate(rules.bands)
        ],
        take,
    )
    taken = []
    for number, scene in enumerate(scenes):
        own = range(number * count, (number + 1) * count)
        failure = next((failures[place] for place in own if place in failures), None)
        if failure is not None:
            queue.record_rejection(scene.candidate, UNREADABLE, failure.reason)
        elif without_signal := bands_at_floor(scene.candidate.product, at_floor[number].tolist(), rules):
            queue.record_rejection(scene.candidate, BAND_AT_FLOOR, without_signal)
        else:
            chips[rows[number], 0] = scene.scl
            taken.append(scene)
    return taken


def offset_to_remove(product: Product, rules: Sentinel2) -> int:
    """Return the counts to subtract from a product's bands.

    Args:
        product: its baseline and what its metadata say of the offset.
        rules: of the recipe.
    """
    return product.offset if rules.remove_offset else 0


def bands_at_floor(product: Product, shares: Sequence[float], rules: Sentinel2) -> str:
    """Return a sentence on the bands that are at the lowest count nearly everywhere; empty where none is.

    Such a band says nothing about the ground: most likely an offset is removed that the pixels do not carry.

    Args:
        product: named in the sentence.
        shares: of the pixels of each band that are at the floor or hold no data, in the order of the recipe.
        rules: of the recipe.
    """
    offset = offset_to_remove(product, rules)
    named = [
        f"{name} ({share:.0%})"
        for name, share in zip(rules.bands, shares, strict=True)
        if share >= FLOOR_SHARE
    ]
    if not named:
        return ""
    why = f" once the offset of {offset} (baseline {product.baseline}) is removed" if offset else ""
    return f"nearly all pixels of {', '.join(named)} are at the lowest count or hold no data{why}."


def chip_table(scenes: Sequence[ProductScene], rules: Sentinel2) -> pl.DataFrame:
    """Return what is known of each chip, in TABLE_SCHEMA.

    Args:
        scenes: that became chips, in their order.
        rules: of the recipe.
    """
    rows = [
        (
            scene.candidate.shot_number,
            scene.candidate.product.id,
            scene.candidate.product.name,
            scene.candidate.product.time,
            scene.candidate.product.cloud_cover,
            scene.candidate.product.baseline,
            offset_to_remove(scene.candidate.product, rules),
            scene.candidate.window.epsg,
            scene.candidate.window.left,
            scene.candidate.window.top,
        )
        for scene in scenes
    ]
    fractions = np.array([scene.fractions for scene in scenes]).reshape(-1, len(SCL_CLASSES))
    schema = {name: dtype for name, dtype in TABLE_SCHEMA.items() if name != "scl_fractions"}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.Series("scl_fractions", fractions, dtype=FRACTIONS_DTYPE)
    )


def missing_products(choices: Choices) -> pl.DataFrame:
    """Return the footprints without a product, as rows of the ledger."""
    return choices.rejects.with_columns(stage=pl.lit(STAGE)).select(REJECT_SCHEMA.keys())


def list_missed(shot_numbers: Sequence[int], queue: Queue) -> pl.DataFrame:
    """Return the footprints whose candidates all failed, as rows of the ledger.

    Args:
        shot_numbers: footprints that had a candidate.
        queue: with the reasons.
    """
    rows = [
        (shot, STAGE, queue.misses[shot][0].reason, " ".join(miss.detail for miss in queue.misses[shot]))
        for shot in shot_numbers
    ]
    return pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row")
