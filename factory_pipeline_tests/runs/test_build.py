"""The first main job, end to end: granules in, train and test dataset out, through Dagster."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import numpy as np
import polars as pl
import pytest
from pyproj import Transformer

from factory_pipeline.builds.chips.rejected_chip import read_rejected_chip
from factory_pipeline.builds.gedi.batches import BatchPlan
from factory_pipeline.builds.progress import BuildProgress
from factory_pipeline.builds.summary import BuildSummary
from factory_pipeline.cli.errors import INTERRUPTED
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import DateRange, Footprints, Recipe, Sentinel2, Subset
from factory_pipeline.definitions import defs
from factory_pipeline.errors import BuildError, CatalogError
from factory_pipeline.runs.build import FUSE, check_output, run_build
from factory_pipeline.runs.failures import DOING
from factory_pipeline.runs.instance import open_instance
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.builds.builds import (
    FACTORY,
    build,
    factory,
    files_below,
    samples_below,
    shots_in,
    shots_in_files_and_ledger,
)
from factory_pipeline_tests.builds.gedi.factories import NAME_2021, beam, write_granule
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home

RECIPE = Recipe(batch_size=20)
FEW = RECIPE.model_copy(update={"subset": Subset(dataset_size_max=3)})
"""For tests that are not about chips."""


@dataclass(frozen=True)
class Built:
    """A build that nothing disturbed."""

    settings: BuildSettings
    home: Path
    archive: Path
    summary: BuildSummary
    told: list[BuildProgress]


@pytest.fixture(scope="module")
def server(small_archive: Path) -> Iterator[SampleServer]:
    with SampleServer(small_archive, own_process=True) as running:
        yield running


def settings_for(archive: Path, output: Path, **changes: object) -> BuildSettings:
    settings = BuildSettings(
        granules=str(archive / "granules"), output=output, catalog=str(archive), recipe=RECIPE, workers=1
    )
    return settings.model_copy(update=changes)


@pytest.fixture(scope="module")
def built(small_archive: Path, server: SampleServer, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    settings = settings_for(small_archive, folder / "out", catalog=server.stac_url)
    summary, told = build(folder / "home", settings, pictures=True)
    return Built(settings, folder / "home", small_archive, summary, told)


def all_shots(archive: Path) -> list[int]:
    shots: list[int] = []
    for path in (archive / "granules").glob("*.h5"):
        with h5py.File(path) as granule:
            for name in granule:
                if name.startswith("BEAM"):
                    shots += granule[name]["shot_number"][:].tolist()
    return sorted(shots)


def test_both_splits_are_built_and_every_footprint_is_accounted_for(built: Built):
    for split in ("train", "test"):
        assert shots_in(built.settings.files.fused(split))
        assert built.settings.files.subset_plot(split).exists()
        assert built.settings.files.combined_csv(split).exists()
    assert shots_in_files_and_ledger(built.settings) == all_shots(built.archive)


def test_the_studio_shows_the_build_and_reads_the_chip_of_a_footprint_again(built: Built) -> None:
    studio = studio_of_home(FactoryHome(built.home))
    with closing(studio.registry):
        page = Visitor(studio).page("/builds")
    assert 'aria-label="Footprints by day: Drawn ' in page
    assert page.count('<svg class="map"') == 1
    recipe = built.settings.recipe
    with h5py.File(built.settings.files.fused("train")) as file:
        shot = int(file["data/GEDI Shot Number"][0, 0])
        product = file["data/Sentinel-2 Product Name"].asstr()[0, 0]
        places = [1 + recipe.sentinel2.bands.index(band) for band in ("B04", "B03", "B02")]
        expected = file["data/Sentinel-2 L2A"][0][places]
    chip = read_rejected_chip(built.settings, shot)
    assert chip is not None
    assert chip.product == product
    np.testing.assert_array_equal(chip.counts, expected)
    assert read_rejected_chip(built.settings, 1) is None, "the plan does not have it"


def test_every_batch_is_worked_on_whatever_their_number(built: Built):
    plan = BatchPlan.load(built.settings.files.batch_plan)
    assert len(plan.keys) % built.settings.workers or len(plan.keys) > built.settings.workers
    assert sorted(plan.keys) == sorted(path.stem for path in built.settings.files.batches.glob("*.h5"))


def test_samples_stand_in_the_order_of_the_plan(built: Built):
    plan = BatchPlan.load(built.settings.files.batch_plan)
    for split in built.settings.recipe.splits:
        place = {shot: number for number, shot in enumerate(plan.shots(split))}
        places = [place[shot] for shot in shots_in(built.settings.files.fused(split))]
        assert places == sorted(places)


def test_every_sample_has_its_footprint_in_pixel_16_16(built: Built):
    for split in built.settings.recipe.splits:
        with h5py.File(built.settings.files.fused(split)) as file:
            transforms = file["data/Transforms"][:].astype(float)
            crs = file["data/CRS"].asstr()[:, 0]
            position = file["provenance/Lat Lon"][:]
            labels = file["data/AGBD Raster"][:, 0]
            values = file["data/AGBD Values"][:, 0]
        for transform, epsg, (latitude, longitude) in zip(transforms, crs, position, strict=True):
            x, y = Transformer.from_crs("EPSG:4326", epsg, always_xy=True).transform(longitude, latitude)
            assert int((x - transform[2]) // transform[0]) == 16
            assert int((y - transform[5]) // transform[4]) == 16
        assert labels.shape[1:] == (32, 32)
        assert np.array_equal(labels[:, 16, 16], values)


def test_runs_of_a_command_are_recorded_like_those_of_the_web_ui(built: Built):
    """The web UI names who launched a run, lists it by its job, and re-executes it without a warning, where
    the run has the job's origin and the snapshot of the job that the code location has loaded."""
    repository = defs.get_repository_def()
    with open_instance(FactoryHome(built.home)) as instance:
        runs = instance.get_runs()
    assert {run.job_name for run in runs} == {"build_dataset", "extract_batches", "fuse_dataset"}
    for run in runs:
        job = repository.get_job(run.job_name)
        origin = run.remote_job_origin.repository_origin
        assert origin.repository_name == repository.name
        assert origin.code_location_origin.location_name == "factory_pipeline.definitions"
        with open_instance(FactoryHome(built.home)) as instance:
            lineage = instance.get_job_snapshot(run.job_snapshot_id).lineage_snapshot
        assert (lineage.parent_snapshot_id if lineage else run.job_snapshot_id) == job.get_job_snapshot_id()
        assert run.asset_selection == job.asset_layer.selected_asset_keys
        assert run.tags["user"] == "factory"
        assert run.tags["dagster/max_retries"] == "0"


def test_a_rerun_does_nothing_again_and_changes_no_byte(built: Built):
    before = {path: path.stat().st_mtime_ns for path in built.settings.files.batches.glob("*.h5")}
    bytes_before = files_below(built.settings.output)
    build(built.home, built.settings, pictures=True)
    assert {path: path.stat().st_mtime_ns for path in built.settings.files.batches.glob("*.h5")} == before
    assert files_below(built.settings.output) == bytes_before


def test_granules_that_arrive_later_form_new_batches(built: Built, tmp_path: Path):
    inbox = tmp_path / "granules"
    inbox.mkdir()
    first, *later = sorted((built.archive / "granules").glob("*.h5"))
    shutil.copy(first, inbox)
    settings = settings_for(built.archive, tmp_path / "out", granules=str(inbox))
    build(tmp_path / "home", settings)
    earlier = BatchPlan.load(settings.files.batch_plan).keys
    for path in later:
        shutil.copy(path, inbox)
    build(tmp_path / "home", settings)
    assert set(earlier) < set(BatchPlan.load(settings.files.batch_plan).keys)
    assert shots_in_files_and_ledger(settings) == all_shots(built.archive)


def test_no_product_in_the_time_window_gives_no_dataset_but_reasons(built: Built, tmp_path: Path):
    recipe = RECIPE.model_copy(update={"sentinel2": Sentinel2(max_days=0.001)})
    settings = settings_for(built.archive, tmp_path / "out", recipe=recipe)
    with pytest.raises(BuildError, match=r"Not one of .* can be a sample.* by sentinel2: no_product"):
        build(tmp_path / "home", settings)
    assert not settings.files.fused("test").exists()
    reasons = pl.read_parquet(settings.files.rejects).filter(stage="sentinel2")["reason"]
    assert reasons.unique().to_list() == ["no_product"]
    assert sorted(pl.read_parquet(settings.files.rejects)["shot_number"]) == all_shots(built.archive)


def test_a_split_can_be_a_range_of_days_and_its_subset_has_exactly_the_size_that_was_asked_for(
    built: Built, tmp_path: Path
):
    splits = {"all_years": DateRange(start=date(2019, 1, 1), end=date(2023, 12, 31))}
    recipe = RECIPE.model_copy(update={"splits": splits, "subset": Subset(dataset_size_max=5)})
    settings = settings_for(built.archive, tmp_path / "out", recipe=recipe)
    summary, _ = build(tmp_path / "home", settings)
    assert summary.planned == 5
    assert list(summary.samples) == ["all_years"]
    assert len(shots_in(settings.files.fused("all_years"))) == summary.samples["all_years"]


def test_bad_granules_are_named_and_the_others_go_on(built: Built, tmp_path: Path):
    inbox = tmp_path / "granules"
    shutil.copytree(built.archive / "granules", inbox)
    whole = sorted(inbox.glob("*.h5"))[0].read_bytes()
    names = [NAME_2021.replace("O13948", f"O0000{number}") for number in range(3)]
    (inbox / names[0]).write_bytes(b"this is no granule")
    (inbox / names[1]).write_bytes(whole[: len(whole) // 2])
    write_granule(inbox, names[2], BEAM0101=beam(agbd_se=None))
    write_granule(inbox / "older", NAME_2021)
    settings = settings_for(built.archive, tmp_path / "out", granules=str(inbox), recipe=FEW)
    summary, _ = build(tmp_path / "home", settings)
    assert sorted(summary.granules_set_aside) == names
    assert "agbd_se" in summary.granules_set_aside[names[2]]
    assert summary.planned == 6
    assert "older/: sub-folders are not read" in str(summary)
    removed = sorted(path.name for path in inbox.glob("*.h5"))[0]
    (inbox / removed).unlink()
    later, _ = build(tmp_path / "home", settings)
    assert later.granules_gone == [removed]
    assert "their footprints stay in the dataset" in str(later)


def test_a_granule_that_lacked_a_field_is_read_once_the_field_is_not_asked_for(built: Built, tmp_path: Path):
    misspelt = FEW.model_copy(update={"footprints": Footprints(extra_fields=("sensitivty",))})
    settings = settings_for(built.archive, tmp_path / "out", recipe=misspelt)
    with pytest.raises(BuildError, match=r"None of 2 granules .* sensitivty"):
        build(tmp_path / "home", settings)
    summary, _ = build(tmp_path / "home", settings_for(built.archive, tmp_path / "out", recipe=FEW))
    assert summary.granules == 2


@pytest.mark.parametrize("catalog", ["planetary", "{folder}/empty"])
def test_a_catalog_that_is_not_known_is_told_before_any_work(built: Built, tmp_path: Path, catalog: str):
    (tmp_path / "empty").mkdir()
    settings = settings_for(built.archive, tmp_path / "out", catalog=catalog.format(folder=tmp_path))
    with pytest.raises(CatalogError):
        build(tmp_path / "home", settings)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_told(built: Built, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="can't be written"):
        build(tmp_path / "home", settings_for(built.archive, tmp_path / "file" / "out"))


def test_an_output_that_is_a_file_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"file is a file; name a folder\."):
        check_output(tmp_path / "file")


def test_an_empty_folder_is_told_in_one_sentence(tmp_path: Path, small_archive: Path):
    (tmp_path / "empty").mkdir()
    ended = factory(
        *("create-dataset", "--input", tmp_path / "empty", "--output", tmp_path / "out"),
        *("--catalog", small_archive),
        home=tmp_path / "home",
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert str(tmp_path / "empty") in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_archive_that_refuses_in_the_middle_stops_the_build_and_loses_nothing(
    built: Built, tmp_path: Path
):
    """As one does that locks out who asks much; 404 as stores answer whose tokens have ended."""
    fault = Faults(path="*.tif", after=40, status=403)
    with SampleServer(built.archive, faults=[fault]) as closed:
        settings = settings_for(built.archive, tmp_path / "out", catalog=closed.stac_url)
        with pytest.raises(BuildError, match=r"refuses what it sent before|rasters are refused"):
            build(tmp_path / "home", settings)
        port = urlsplit(closed.url).port
    assert port is not None
    for ledger in settings.files.batch_rejects("x").parent.glob("*.parquet"):
        assert "asset_unreadable" not in pl.read_parquet(ledger)["reason"]
    assert not settings.files.fused("train").exists()
    with SampleServer(built.archive, port=port):
        build(tmp_path / "home", settings)
    assert samples_below(settings.output) == samples_below(built.settings.output)


def test_a_catalog_that_stays_away_stops_the_build_and_one_that_is_busy_changes_nothing(
    built: Built, tmp_path: Path
):
    with SampleServer(built.archive) as gone:
        url = gone.stac_url
    settings = settings_for(built.archive, tmp_path / "out", catalog=url, catalog_patience_s=1.0)
    told: list[BuildProgress] = []
    with pytest.raises(BuildError, match=r"127\.0\.0\.1:\d+ could not be reached for 1 s; try again later"):
        run_build(FactoryHome(tmp_path / "home"), settings, told.append)
    # It is asked before the granules are read, and the waiting is shown.
    assert not settings.files.batch_plan.exists()
    assert not FactoryHome(tmp_path / "home").build_file.exists()
    assert any(re.search(r"Waiting for 127\.0\.0\.1:\d+, which does not answer", each.stage) for each in told)
    assert not list(settings.files.batches.glob("*.h5"))
    # From disk, where the other build read over HTTP: another catalog with the same items.
    settings = settings_for(built.archive, tmp_path / "out")
    summary, _ = build(tmp_path / "home", settings)
    assert summary.changed == "", "the catalog that was away decided nothing"
    assert samples_below(settings.output) == samples_below(built.settings.output)
    faults = [
        Faults(path="/stac/search", times=1, status=429, retry_after_s=1),
        Faults(path="/stac/search", times=2, status=503),
    ]
    with SampleServer(built.archive, faults=faults) as busy:
        served = settings.model_copy(update={"catalog": busy.stac_url})
        summary, _ = build(tmp_path / "home", served)
    assert f"The catalog is {served.catalog} now, {built.archive} before." in summary.changed
    assert "0 are kept" in summary.changed
    assert samples_below(settings.output) == samples_below(built.settings.output)


def test_an_interrupted_and_then_killed_build_goes_on_and_gives_the_same_bytes(built: Built, tmp_path: Path):
    batches = tmp_path / "out" / "batches"
    slow = SampleServer(built.archive, latency_s=0.05, own_process=True)
    command = [FACTORY, "create-dataset", "--input", built.archive / "granules", "--output", tmp_path / "out"]
    command += ["--batch-size", "20", "--num-processors", "1", "--catalog"]

    def end_after_a_batch(by: signal.Signals) -> tuple[int, str, dict[str, bytes]]:
        """Start the command, end it by a signal after one more batch; its exit code, message and batches."""
        before = set(batches.glob("[!.]*.h5"))
        process = subprocess.Popen(
            [*map(str, command), slow.stac_url],
            env={**os.environ, "FACTORY_HOME": str(tmp_path / "home")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        deadline = time.monotonic() + 240
        while set(batches.glob("[!.]*.h5")) == before:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        # A terminal sends the signal of Ctrl-C to the command and all its workers.
        os.killpg(process.pid, by)
        message = process.communicate(timeout=120)[1]
        return process.returncode, message, files_below(batches)

    with slow:
        exit_code, message, interrupted = end_after_a_batch(signal.SIGINT)
        assert exit_code == 130
        assert message.strip().splitlines()[-1:] == [INTERRUPTED]
        assert "Traceback" not in message
        exit_code, _, killed = end_after_a_batch(signal.SIGKILL)
        assert exit_code == -signal.SIGKILL
        assert killed.items() > interrupted.items()
        assert 0 < len(killed) < len(files_below(built.settings.files.batches))
        settings = settings_for(built.archive, tmp_path / "out", catalog=slow.stac_url)
        build(tmp_path / "home", settings)
    assert files_below(batches).items() >= killed.items()
    assert samples_below(settings.output) == samples_below(built.settings.output)


def test_given_csvs_replace_the_first_stages_whatever_columns_of_their_own_they_have(
    built: Built, tmp_path: Path
):
    files = built.settings.files
    train = pl.read_csv(files.subset_csv("train")).with_row_index("").with_row_index("index")
    own = {name: pl.lit(name) for name in ("product_name", "item_id", "epsg", "cell", "batch", "left", "crs")}
    train.with_columns(**own).write_csv(tmp_path / "train.csv")
    ended = factory(
        *("create-dataset", "--output", tmp_path / "out", "--catalog", built.settings.catalog),
        *("--batch-size", "20", "--num-processors", "1"),
        *("--path-subset-csv-train", tmp_path / "train.csv"),
        *("--path-subset-csv-test", files.subset_csv("test")),
        home=tmp_path / "home",
    )
    assert ended.returncode == 0, ended.stderr
    assert files_below(tmp_path / "out" / "batches") == files_below(files.batches)


def test_a_given_aggregated_csv_replaces_the_filter_of_its_split(built: Built, tmp_path: Path):
    files = built.settings.files
    given = {split: files.combined_csv(split) for split in ("train", "test")}
    settings = settings_for(built.archive, tmp_path / "out", aggregated_csv=given, granules="")
    build(tmp_path / "home", settings)
    assert sorted(shots_in(settings.files.fused("train"))) == sorted(shots_in(files.fused("train")))


def test_fusing_a_folder_gives_the_fused_files(built: Built, tmp_path: Path):
    ended = factory(
        *("create-dataset", "--output", tmp_path, "--fuse-hdf5-datasets", built.settings.files.batches),
        home=tmp_path / "home",
    )
    assert ended.returncode == 0, ended.stderr
    for split in ("train", "test"):
        assert shots_in(tmp_path / f"{split}_dataset.h5") == shots_in(built.settings.files.fused(split))


def test_a_truncated_batch_file_is_named_and_nothing_is_fused(built: Built, tmp_path: Path):
    shutil.copytree(built.settings.files.batches, tmp_path / "batches")
    victim = sorted((tmp_path / "batches").glob("train*.h5"))[0]
    victim.write_bytes(victim.read_bytes()[:-1000])
    ended = factory(
        *("create-dataset", "--output", tmp_path / "out", "--fuse-hdf5-datasets", tmp_path / "batches"),
        home=tmp_path / "home",
    )
    assert ended.returncode == 1
    assert victim.name in ended.stderr
    assert not (tmp_path / "out" / "train_dataset.h5").exists()


def test_inspect_prints_and_draws_what_is_inside(built: Built, tmp_path: Path):
    fused = built.settings.files.fused("train")
    ended = factory("inspect", fused, "--sheet", tmp_path / "sheet.png", home=tmp_path / "home")
    assert ended.returncode == 0, ended.stderr
    assert f"{len(shots_in(fused))}" in ended.stdout
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_is_given_as_json(built: Built, tmp_path: Path):
    sheet = tmp_path / "sheet.png"
    shown = factory("inspect", built.settings.files.fused("train"), "--sheet", sheet, "--json", home=tmp_path)
    facts = json.loads(shown.stdout)
    assert facts["samples"] == built.summary.samples["train"]
    assert facts["recipe"]["batch_size"] == RECIPE.batch_size
    assert facts["sheet"] == str(sheet)
    assert sheet.is_file()


def test_the_progress_counts_footprints_and_batches(built: Built):
    extracted, summary = [told for told in built.told if told.total][-1], built.summary
    assert extracted.done == extracted.total == summary.planned
    assert extracted.batches_done == extracted.batches == summary.batches
    assert built.told[-1].stage in [DOING[asset] for asset in FUSE]
