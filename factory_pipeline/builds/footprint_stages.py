"""The stages from granules to the batch plan, as a build's settings ask for them."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from factory_pipeline.builds.gedi.aggregate import Aggregation, aggregate_granules, read_aggregation
from factory_pipeline.builds.gedi.aggregate import unread_granules as unread_of_source
from factory_pipeline.builds.gedi.batches import CatalogKey, StoredPlan
from factory_pipeline.builds.gedi.footprint_csv import read_footprints_csv, write_csv_parts
from factory_pipeline.builds.gedi.object_store import display
from factory_pipeline.builds.gedi.plan_batches import write_plan
from factory_pipeline.builds.gedi.quality import QualityCounts, filter_footprints
from factory_pipeline.builds.gedi.sampling import draw_shots
from factory_pipeline.builds.gedi.unusable_footprints import part_unusable
from factory_pipeline.builds.gedi_splits import shots_left_out
from factory_pipeline.builds.reject_ledger import reject_frame
from factory_pipeline.builds.rules import rule_fields
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import GranuleError, GranuleUnavailableError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.sort_on_disk import sort_on_disk

PLOTTED = ("lon_lowestmode", "lat_lowestmode", "delta_time", "agbd")
"""Columns that a plot of footprints shows."""


def aggregate(settings: BuildSettings, on_granule: Callable[[str], object]) -> Aggregation | None:
    """Read the granules that are new; None, where a CSV is given for every split.

    Args:
        settings: of the build.
        on_granule: called with a line on each granule that was read.

    Raises:
        GranuleError: there is no granule, or none that can be used, or none has a field that is requested.
        GranuleUnavailableError: a granule can't be read for a reason that may pass: the dataset is not made
            without it.
        RecipeError: a rule can't be parsed.
    """
    if not settings.splits_from_granules:
        return None
    footprints = settings.recipe.footprints
    aggregation = aggregate_granules(
        settings.granules,
        settings.files.footprints,
        footprints.extra_fields,
        settings.workers,
        on_granule,
        rule_fields(footprints.rules),
        settings.granule_inbox,
    )
    if aggregation.unavailable:
        _refuse_unavailable(settings, aggregation)
    if not aggregation.granules:
        first = next(iter(aggregation.set_aside.values()))
        raise GranuleError(
            f"None of {count_noun(len(aggregation.set_aside), 'granule')}"
            f" {_describe_source(settings)} can be used; "
            f"the first: {first}"
        )
    for field in footprints.extra_fields:
        if all(field in lacking for lacking in aggregation.lacking.values()):
            raise GranuleError(
                f"None of {count_noun(len(aggregation.granules), 'granule')}"
                f" {_describe_source(settings)} has the field"
                f" {field} in every beam; correct or remove it in extra_fields."
            )
    return aggregation


def _refuse_unavailable(settings: BuildSettings, aggregation: Aggregation) -> None:
    names = list(aggregation.unavailable)
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    raise GranuleUnavailableError(
        f"{aggregation.unavailable[names[0]].rstrip('.')}{others}, after several tries. The dataset is not"
        f" made without it: make it readable or remove it {_describe_source(settings)}, and run the same"
        " command again."
    )


def _describe_source(settings: BuildSettings) -> str:
    """Say where the granules are, without credentials."""
    shown = display(settings.granules)
    return f"in {shown[0].lower()}{shown[1:]}"


def load_aggregation(settings: BuildSettings) -> Aggregation | None:
    """Return what `aggregate` put into the store; None, where a CSV is given for every split.

    Raises:
        GranuleError: the manifest can't be read.
        RecipeError: a rule can't be parsed.
    """
    if not settings.splits_from_granules:
        return None
    footprints = settings.recipe.footprints
    return read_aggregation(settings.files.footprints, footprints.extra_fields, rule_fields(footprints.rules))


def filter_by_quality(settings: BuildSettings) -> QualityCounts:
    """Filter the aggregated footprints and divide them by split; a CSV replaces this for its split.

    Of a given CSV only those footprints are dropped of which no sample can be made.
    """
    files, recipe = settings.files, settings.recipe
    from_granules = {split: recipe.splits[split] for split in settings.splits_from_granules}
    counts = filter_footprints(
        _aggregated_files(settings), recipe.model_copy(update={"splits": from_granules}), files
    )
    given = {split: read_footprints_csv(path) for split, path in settings.aggregated_csv.items()}
    total = counts.footprints + sum(footprints.height for footprints in given.values())
    dropped = Counter(counts.dropped)
    for split, footprints in given.items():
        given[split], rejects = part_unusable(footprints, "quality")
        dropped.update(rejects["reason"].to_list())
        _append(files.stage_rejects("quality"), rejects)
        with atomic_write(files.quality(split)) as temporary:
            given[split].write_parquet(temporary)
    if settings.plot_distribution:
        for split in [*from_granules, *given]:
            footprints = pl.read_parquet(files.quality(split), columns=list(PLOTTED))
            _plot(footprints, files.combined_plot(split), f"{split}: all footprints")
    kept = {**counts.kept, **{split: footprints.height for split, footprints in given.items()}}
    return QualityCounts(total, dict(dropped), kept)


def _plot(footprints: pl.DataFrame, path: Path, title: str) -> None:
    from factory_pipeline.builds.gedi.plots import plot_distribution  # matplotlib takes half a second

    plot_distribution(footprints, path, title)


def _append(ledger: Path, rejects: pl.DataFrame) -> None:
    """Add rejects to a ledger, atomically."""
    if rejects.height:
        both = pl.concat([pl.read_parquet(ledger), rejects])
        with atomic_write(ledger) as temporary:
            both.write_parquet(temporary)


def _aggregated_files(settings: BuildSettings) -> Sequence[Path]:
    aggregation = load_aggregation(settings)
    return aggregation.files if aggregation else ()


def plan_subset(settings: BuildSettings, catalog: CatalogKey) -> StoredPlan:
    """Draw the subset of each split, write its CSV and plot, and plan the batches.

    Batches of the earlier plan stay as they are where all their footprints are still drawn, and the recipe's
    extraction and the catalog are the same. With another seed or rule the subset is drawn anew. The dataset
    file of a batch that is no longer planned is put aside, and comes back when its key does.

    Args:
        settings: of the build.
        catalog: part of a batch's key, as another catalog has other items.
    """
    files, recipe = settings.files, settings.recipe
    earlier = StoredPlan(files.batch_plan) if files.batch_plan.exists() else None
    subsets: dict[str, pl.LazyFrame] = {}
    not_drawn = [reject_frame([], "subset", "not_drawn", "").lazy()]
    left_out = _leave_out(settings, earlier)
    for split in recipe.splits:
        not_drawn.append(left_out[split].lazy())
        out = left_out[split].lazy().select("shot_number")
        if split in settings.subset_csv:
            given = read_footprints_csv(settings.subset_csv[split])
            usable, unusable = part_unusable(given, "subset")
            not_drawn.append(unusable.lazy())
            given = usable.join(left_out[split], on="shot_number", how="anti", maintain_order="left")
            subsets[split], parts = given.lazy(), iter([given])
        else:
            candidates = pl.scan_parquet(files.quality(split)).join(
                out, on="shot_number", how="anti", maintain_order="left"
            )
            batched = _batched_shots(earlier, split, recipe)
            drawn = draw_shots(candidates, recipe.subset, keep=batched).to_frame().lazy()
            subsets[split] = candidates.join(drawn, on="shot_number", how="semi")
            parts = sort_on_disk(subsets[split], ["delta_time", "shot_number"], files.stages)
            not_drawn.append(_reject_undrawn(candidates, drawn))
        plotted: list[pl.DataFrame] = []
        write_csv_parts(_note_columns(parts, PLOTTED, plotted), files.subset_csv(split))
        _plot(pl.concat(plotted), files.subset_plot(split), f"{split}: subset")
    with atomic_write(files.stage_rejects("subset")) as temporary:
        pl.concat(not_drawn).sink_parquet(temporary)
    plan = write_plan(files.batch_plan, subsets, recipe, earlier, catalog)
    _exchange_dissolved(settings, plan)
    return plan


def _batched_shots(earlier: StoredPlan | None, split: str, recipe: Recipe) -> pl.Series:
    """Return the shots that an earlier plan drew in the same way."""
    if (
        earlier is None
        or earlier.facts.seed not in (None, recipe.subset.seed)
        or earlier.facts.drawn_by != recipe.subset.rule
    ):
        return pl.Series([], dtype=pl.Int64)
    return earlier.shots(split)


def _note_columns(
    parts: Iterable[pl.DataFrame], names: Sequence[str], noted: list[pl.DataFrame]
) -> Iterator[pl.DataFrame]:
    """Yield the parts of a table, and add some of their columns to a list."""
    for part in parts:
        noted.append(part.select(names))
        yield part


def _leave_out(settings: BuildSettings, earlier: StoredPlan | None) -> dict[str, pl.DataFrame]:
    """Return the footprints of each split whose ground is of another one, in REJECT_SCHEMA."""
    footprints = {
        split: (
            part_unusable(read_footprints_csv(settings.subset_csv[split]), "subset")[0].lazy()
            if split in settings.subset_csv
            else pl.scan_parquet(settings.files.quality(split))
        )
        for split in settings.recipe.splits
    }
    return shots_left_out(footprints, settings.recipe, earlier)


def footprints_in(settings: BuildSettings) -> int:
    """Return footprints that came in: of all granules that were read, and of the CSVs that were given."""
    aggregation = load_aggregation(settings)
    from_granules = aggregation.footprints if aggregation else 0
    given = [*settings.aggregated_csv.values(), *settings.subset_csv.values()]
    return from_granules + sum(read_footprints_csv(path).height for path in given)


def _reject_undrawn(candidates: pl.LazyFrame, drawn: pl.LazyFrame) -> pl.LazyFrame:
    """Return the candidates that were not drawn, in REJECT_SCHEMA."""
    return (
        candidates.select("shot_number")
        .join(drawn, on="shot_number", how="anti", maintain_order="left")
        .with_columns(
            stage=pl.lit("subset"),
            reason=pl.lit("not_drawn"),
            detail=pl.lit("The dataset has its size without this footprint."),
        )
    )


def _exchange_dissolved(settings: BuildSettings, plan: StoredPlan) -> None:
    """Set aside the files of batches that are not planned, and restore those that are."""
    files = settings.files
    for path in sorted(files.batches.glob("[!.]*.h5")):
        if path.stem not in plan.sizes:
            files.dissolved(path.stem).parent.mkdir(parents=True, exist_ok=True)
            path.replace(files.dissolved(path.stem))
    for key in plan.keys:
        if files.dissolved(key).exists() and not files.batch(key).exists():
            files.batches.mkdir(parents=True, exist_ok=True)
            files.dissolved(key).replace(files.batch(key))


def unread_granules(settings: BuildSettings) -> dict[str, int]:
    """Return name and size of each granule of the source and of the inbox that no build has read."""
    unread = unread_of_source(
        settings.granules,
        settings.files.footprints,
        settings.recipe.footprints.extra_fields,
        settings.granule_inbox,
    )
    return {granule.name: granule.size for granule in unread}


def describe_watched(settings: BuildSettings) -> str:
    """Say where granules are read from, without credentials."""
    shown = map(display, settings.watched)
    return ", ".join(f"{place[0].lower()}{place[1:]}" for place in shown)


def listing_digest(listing: dict[str, int]) -> str:
    """Return the first 16 hex digits of the SHA-256 of a listing of granules, which name its content."""
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()[:16]
