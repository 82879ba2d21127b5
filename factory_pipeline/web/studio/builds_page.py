"""The build that the home works on: where its footprints went, its batches, what was rejected, its recipe."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import yaml
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from factory_pipeline.builds.chips.rejected_chip import has_chip, read_rejected_chip
from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.builds.gedi.batches import StoredPlan
from factory_pipeline.builds.gedi.granules import GEDI_EPOCH
from factory_pipeline.builds.gedi_splits import samples_of
from factory_pipeline.builds.summary import BuildSummary
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.recipe import SPACE_BLOCKS
from factory_pipeline.datalake.registry.records import CollectionSource
from factory_pipeline.errors import FactoryError
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.onboarding.page.charts import FootprintMap, corner_map
from factory_pipeline.onboarding.split_notes import SplitNotes
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.context import environment, render, studio_of
from factory_pipeline.web.studio.files import SANDBOX
from factory_pipeline.web.studio.pictures import draw_picture, kept_picture
from factory_pipeline.web.studio.plots import day_plot

MOST_EXAMPLES = 3
MOST_DAYS = 60
"""Of the table; the plot has all days."""
CHIP_SIDE = 160
GAMMA = 1 / 1.3
"""Opens up dark forest."""
WHITE = 3500.0
"""Counts that are drawn white, which is 35 % reflectance: clouds are brighter, land is darker."""
MOST_BATCHES = 2000
MOST_SAMPLES = 100_000
"""Samples on the map at most, spread evenly over the files."""


@dataclass(frozen=True)
class FunnelRow:
    """One line of the funnel."""

    name: str
    count: int
    share: float
    """Of the footprints that came in, 0 to 1."""
    is_loss: bool


def show(request: Request) -> Response:
    """Show the build, as far as it is."""
    home = studio_of(request).home
    recipes = [_recipe_build(home, name) for name in home.dataset_build_names()]
    if not home.build_file.exists():
        return render(request, "builds.html", settings=None, error="", recipes=recipes)
    try:
        settings = BuildSettings.load(home)
    except FactoryError as error:
        return render(request, "builds.html", settings=None, error=str(error), recipes=recipes)
    files = settings.files
    summary = BuildSummary.load(files.summary) if files.summary.exists() else None
    plan = StoredPlan(files.batch_plan) if files.batch_plan.exists() else None
    rejects = pl.scan_parquet(files.rejects) if files.rejects.exists() else None
    recipe = settings.recipe.model_dump(mode="json", exclude_defaults=True)
    notes, drawn = _splits_of(settings)
    return render(
        request,
        "builds.html",
        settings=settings,
        error="",
        recipes=recipes,
        summary=summary,
        funnel=funnel(summary) if summary is not None else [],
        batches=len(plan.keys) if plan is not None else 0,
        done=sum(files.batch(key).exists() for key in plan.keys) if plan is not None else 0,
        map=drawn or (_batch_map(settings, plan) if plan is not None else None),
        notes=notes,
        counts=[(split, size, 0) for split, size in plan.footprints_by_split.items()]
        if plan is not None
        else [],
        **_yield_of(plan, rejects),
        examples=_examples(rejects) if rejects is not None else [],
        recipe=yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True) if recipe else "",
        changed=datetime.fromtimestamp(home.build_file.stat().st_mtime, UTC),
    )


def funnel(summary: BuildSummary) -> list[FunnelRow]:
    """Return where the footprints of a build went, from all that came in to those accepted."""
    total = max(summary.footprints_in, 1)
    accepted = sum(summary.samples.values())
    rows = [FunnelRow("Footprints in", summary.footprints_in, 1.0, False)]
    rows += [
        FunnelRow(reason, count, count / total, True) for reason, count in summary.dropped.items() if count
    ]
    return [*rows, FunnelRow("Accepted", accepted, accepted / total, False)]


def days(plan: StoredPlan, rejects: pl.LazyFrame) -> list[dict[str, Any]]:
    """Return of each day: `day`, `drawn` footprints, and `accepted` ones of them.

    Args:
        plan: of the build.
        rejects: `shot_number` of the footprints that were dropped.
    """
    seconds = pl.col("delta_time") * 1_000_000
    drawn = plan.scan().select(
        "shot_number", day=(pl.lit(GEDI_EPOCH) + pl.duration(microseconds=seconds)).dt.date()
    )
    lost = drawn.join(rejects.select("shot_number"), on="shot_number", how="semi")
    counted = drawn.group_by("day").len("drawn").join(lost.group_by("day").len("lost"), on="day", how="left")
    table = counted.sort("day").select("day", "drawn", accepted=pl.col("drawn") - pl.col("lost").fill_null(0))
    return table.collect(engine="streaming").to_dicts()


def _yield_of(plan: StoredPlan | None, rejects: pl.LazyFrame | None) -> dict[str, Any]:
    if plan is None or rejects is None:
        return {"days": [], "plot": None}
    table = days(plan, rejects)
    numbers = {name.capitalize(): [row[name] for row in table] for name in ("drawn", "accepted")}
    plot = day_plot("Footprints by day", [row["day"] for row in table], numbers)
    return {"days": table[-MOST_DAYS:], "plot": plot}


def _examples(rejects: pl.LazyFrame) -> list[dict[str, Any]]:
    """Return the rejects by stage and reason, the most frequent first, each with a few footprints of it."""
    grouped = rejects.group_by("stage", "reason").agg(
        pl.len().alias("count"), pl.struct("shot_number", "detail").head(MOST_EXAMPLES).alias("examples")
    )
    ordered = grouped.sort("count", "stage", "reason", descending=[True, False, False])
    rows = ordered.collect(engine="streaming").to_dicts()
    return [row | {"has_chip": has_chip(row["stage"], row["reason"])} for row in rows]


def _splits_of(settings: BuildSettings) -> tuple[SplitNotes | None, FootprintMap | None]:
    """Return what is said of the splits of a build, and their map; None before its files are fused."""
    files, options = settings.files, settings.recipe.split
    splits = tuple(settings.recipe.splits)
    if not files.splits.exists() or not any(files.fused(split).exists() for split in splits):
        return None, None
    block_m = options.block_m if options.space == SPACE_BLOCKS else None
    return draw_splits(files, splits, block_m, files.splits.read_text(encoding="utf-8"))


@lru_cache(maxsize=4)
def draw_splits(
    files: BuildFiles, splits: tuple[str, ...], block_m: float | None, record: str
) -> tuple[SplitNotes, FootprintMap | None]:
    """Draw the windows of a build, coloured by split, with the blocks that are held out.

    Args:
        files: of the build; those of some splits are fused.
        splits: of its recipe.
        block_m: side of the blocks in metres; None without any.
        record: the text of its `splits.json`, which is another one after every change.

    Returns:
        What the record says, and the map.
    """
    samples = samples_of(files, splits)
    samples = samples.gather_every(-(-samples.height // MOST_SAMPLES)) if samples.height else samples
    drawn = corner_map(footprints(samples), samples.select("split", original_name="stem"), block_m)
    return SplitNotes.of_record(json.loads(record)), drawn


def _batch_map(settings: BuildSettings, plan: StoredPlan) -> FootprintMap | None:
    """Draw the extent of each batch, coloured by its split."""
    lon, lat = pl.col("lon_lowestmode"), pl.col("lat_lowestmode")
    grouped = (
        plan.scan()
        .group_by("batch", maintain_order=True)
        .agg(west=lon.min(), east=lon.max(), south=lat.min(), north=lat.max(), split=pl.col("split").first())
    )
    extents = grouped.head(MOST_BATCHES).collect()
    west, east, south, north = (extents[name].to_numpy() for name in ("west", "east", "south", "north"))
    pairs = ((west, north), (east, north), (east, south), (west, south))
    corners = np.stack([np.stack(pair, axis=-1) for pair in pairs], axis=1)
    finished = {True: "finished", False: "missing"}
    names = [f"{key}: {finished[settings.files.batch(key).exists()]}" for key in extents["batch"]]
    return corner_map(corners, extents.select("split", original_name=pl.Series(names)))


def rejected_picture(request: Request) -> Response:
    """Serve the chip of a rejected footprint in true colour, read from the archive at its first request."""
    studio, shot = studio_of(request), request.path_params["shot"]
    try:
        settings = BuildSettings.load(studio.home)
        is_rejected = pl.col("shot_number") == shot
        ledger = pl.scan_parquet(settings.files.rejects).filter(is_rejected).head(1).collect()
    except (FactoryError, OSError):
        raise HTTPException(404) from None
    if not ledger.height:
        raise HTTPException(404)

    def draw() -> bytes:
        chip = read_rejected_chip(settings, shot)
        if chip is None:
            raise KeyError(shot)
        return draw_picture((chip.counts / WHITE).clip(0, 1) ** GAMMA * 255, CHIP_SIDE)

    recipe = settings.recipe
    chosen_by = f"{settings.catalog} {recipe.window_size} {recipe.sentinel2.model_dump_json()}"
    digest = hashlib.sha256(chosen_by.encode()).hexdigest()[:12]
    return kept_picture(studio, f"rejected-{digest}-{shot}", draw)


@dataclass(frozen=True)
class RecipeBuild:
    """The build of a recipe's dataset."""

    name: str
    samples: int | None
    """None until its files are fused."""
    has_page: bool


def _recipe_build(home: FactoryHome, name: str) -> RecipeBuild:
    try:
        files = DatasetSettings.load(home, name).files
        samples = sum(DatasetBuildSummary.load(files.summary).samples.values())
    except (FactoryError, OSError, ValueError, TypeError):
        return RecipeBuild(name, None, has_page=False)
    return RecipeBuild(name, samples, files.page.is_file())


def recipe_page(request: Request) -> Response:
    """Serve the page of a recipe's dataset, in a sandbox of its own, with the way back to the studio."""
    studio, name = studio_of(request), request.path_params["name"]
    home = studio.home
    if name not in home.dataset_build_names():
        raise HTTPException(404)
    try:
        page = DatasetSettings.load(home, name).files.page
    except FactoryError:
        raise HTTPException(404) from None
    if not page.is_file():
        raise HTTPException(404)
    found = [one for one in studio.registry.collections() if one.source is CollectionSource.RECIPE]
    links = environment().get_template("recipe_links.html")
    begin = links.render(collection=next((one.id for one in found if one.name == name), None))
    text = page.read_text(encoding="utf-8").replace("<body>", f"<body>{begin}", 1)
    return HTMLResponse(text, headers={"Content-Security-Policy": SANDBOX})


ROUTES = [
    Route("/builds", show),
    Route("/builds/recipes/{name}", recipe_page),
    Route("/builds/rejected/{shot:int}.webp", rejected_picture),
]
