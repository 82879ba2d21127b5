"""Building datasets in tests: the real assets on a real Dagster instance, in a home of the test's own."""

import subprocess
import sys
from pathlib import Path

import h5py
import polars as pl
import pytest
from click.testing import CliRunner
from PIL import Image

from factory_pipeline.builds.progress import BuildProgress
from factory_pipeline.builds.summary import BuildSummary
from factory_pipeline.cli.main import main
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.hdf5.preview import encode_png
from factory_pipeline.storage.layout import FactoryHome

FACTORY = Path(sys.executable).with_name("factory")


def build(
    home: Path, settings: BuildSettings, *, pictures: bool = False
) -> tuple[BuildSummary, list[BuildProgress]]:
    """Run a whole build; gives its summary and the progress that it told.

    Without `pictures` its plots and sheets of chips are blank: they take a third of a small build's time.
    """
    # Dagster, which unit tests do not need.
    from factory_pipeline.builds import footprint_stages
    from factory_pipeline.orchestration.builds import dataset
    from factory_pipeline.runs.build import run_build

    told: list[BuildProgress] = []
    with pytest.MonkeyPatch.context() as patch:
        if not pictures:
            blank = encode_png(Image.new("RGB", (1, 1)))
            patch.setattr(footprint_stages, "_plot", lambda _, path, __: path.write_bytes(blank))
            patch.setattr(dataset, "chip_sheet", lambda *_, **__: blank)
        return run_build(FactoryHome(home), settings, told.append), told


def factory(*arguments: str | Path, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a user does, but in this process: another one would load everything again."""
    given = [*map(str, arguments)]
    with CliRunner().isolation(env={"FACTORY_HOME": str(home)}) as (output, errors, _):
        try:
            main(given)
            exit_code = 0
        except SystemExit as ended:
            exit_code = int(ended.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
    return subprocess.CompletedProcess(
        given, exit_code, output.getvalue().decode(), errors.getvalue().decode()
    )


def shots_in(path: Path) -> list[int]:
    """The shot numbers of a dataset file, in its order."""
    with h5py.File(path) as file:
        return file["data/GEDI Shot Number"][:, 0].tolist()


def shots_in_files_and_ledger(settings: BuildSettings) -> list[int]:
    """Every shot of the fused files and of the reject ledger, sorted."""
    accepted = [shot for split in settings.recipe.splits for shot in shots_in(settings.files.fused(split))]
    return sorted(accepted + pl.read_parquet(settings.files.rejects)["shot_number"].to_list())


def files_below(folder: Path) -> dict[str, bytes]:
    """The bytes of the dataset files of a build, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("[!.]*.h5"))}


def samples_below(folder: Path) -> dict[str, bytes]:
    """The values of the fused files of a build, by file and dataset, but for the names of their batches.

    These name the catalog too: the same samples from another address are of other batches.
    """
    values = {}
    for path in sorted(folder.glob("*_dataset.h5")):
        with h5py.File(path) as file:
            for group in ("data", "provenance"):
                for name, dataset in file[group].items():
                    if name != "Batch":
                        values[f"{path.name}: {name}"] = dataset[()].tobytes()
    return values
