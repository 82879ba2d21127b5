"""Commands of `factory upload`: uploads, and the datasets that their onboarding makes."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.help import FullHelpGroup
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.paths import PATH
from factory_pipeline.cli.terminal import confirm, echo

if TYPE_CHECKING:
    from factory_pipeline.datalake.registry.records import Upload
    from factory_pipeline.storage.layout import FactoryHome


@click.group("upload", cls=FullHelpGroup)
def upload_group() -> None:
    """Uploads and the datasets that they became by their onboarding."""


@upload_group.command("list")
@click.option("--all", "with_corrected", is_flag=True, help="Failed uploads too that a later one corrected.")
@json_option
def datasets(with_corrected: bool, as_json: bool) -> None:
    """List uploads and onboarded datasets with their status."""
    from factory_pipeline.datalake.registry.of_home import open_registry
    from factory_pipeline.datalake.registry.records import corrected_failures

    home = existing_home()
    with closing(open_registry(home)) as registry:
        uploads = registry.uploads()
    left_out = frozenset() if with_corrected else corrected_failures(uploads)
    if as_json:
        echo_json([_state(upload, home) for upload in uploads if upload.key not in left_out])
        return
    echo(f"Factory: {home.root}", err=True)
    if not uploads:
        echo("No dataset yet: factory onboard MANIFEST, or drop a manifest into the inbox.")
    for upload in uploads:
        if upload.key in left_out:
            continue
        reason = f"  {upload.reason} [{upload.code or '-'}]" if upload.reason else ""
        echo(f"{upload.key:<40} {upload.status.value:<10} {upload.updated:%Y-%m-%d %H:%M}{reason}")
    if left_out:
        echo(f"Failed uploads that a later one corrected are left out: {len(left_out)} (--all lists them).")


@upload_group.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the status of an upload and the content of its dataset. NAME is a dataset's name or its key."""
    home = existing_home()
    upload = upload_named(name, home)
    if as_json:
        echo_json(upload_facts(upload, home))
    else:
        echo(*describe_upload(upload, home))


@upload_group.command()
@click.argument("name")
@click.option("--output", type=PATH, metavar="FILE", help="[default: its key and .log, in this folder]")
def logs(name: str, output: Path | None) -> None:
    """Write the logs of all runs of an onboarding to one text file."""
    from factory_pipeline.runs.onboarding import run_log
    from factory_pipeline.storage.atomic import write_text

    home = existing_home()
    upload = upload_named(name, home)
    target = output or Path(f"{upload.key}.log")
    write_text(target, run_log(upload, home))
    echo(target)


@upload_group.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete(name: str, yes: bool) -> None:
    """Delete an onboarded dataset: its files and its partition. The archive and its manifest stay.

    NAME is a key such as rivers@1f2e3d4c, or the exact name of a dataset that has one version only.
    """
    from factory_pipeline.runs.onboarding import remove

    home = existing_home()
    upload = upload_named(name, home, exactly=True)
    if not yes and not confirm(f"Delete {upload.key} with all its files?"):
        echo("Nothing was deleted.")
        return
    remove(upload.key, home)
    echo(f"{upload.key} was deleted.")


def usable_home() -> "FactoryHome":
    """Return the factory home of the environment, which need not exist yet."""
    from factory_pipeline.storage.layout import FactoryHome

    home = FactoryHome.from_environment()
    home.require_folder()
    return home


def existing_home() -> "FactoryHome":
    """Return the factory home of the environment, which exists."""
    home = usable_home()
    home.require_existing()
    return home


def upload_named(name: str, home: "FactoryHome", *, exactly: bool = False) -> "Upload":
    """Return the upload that a user names, as `find_upload` does.

    Args:
        name: of the upload, or its key.
        home: whose registry is read.
        exactly: accept only a full name or key.
    """
    from factory_pipeline.datalake.registry.find_upload import find_upload
    from factory_pipeline.datalake.registry.of_home import open_registry

    with closing(open_registry(home)) as registry:
        return find_upload(registry, name, exactly=exactly)


def _state(upload: "Upload", home: "FactoryHome") -> dict[str, Any]:
    """Return an upload in a listing, as JSON."""
    files = home.upload(upload.key).finished
    finished = files.root.exists()
    return {
        "key": upload.key,
        "name": upload.name,
        "status": upload.status.value,
        "reason": upload.reason,
        "code": upload.code,
        "created": upload.created,
        "updated": upload.updated,
        "folder": files.root if finished else None,
        "page": files.page if finished else None,
    }


def upload_facts(upload: "Upload", home: "FactoryHome") -> dict[str, Any]:
    """Return what `show --json` prints.

    Args:
        upload: of this home.
        home: contains the files of the dataset.

    Returns:
        The state; of a finished dataset also the images per split and the training parameters.
    """
    import polars as pl

    from factory_pipeline.splits.names import SPLITS

    state, files = _state(upload, home), home.upload(upload.key).finished
    if state["folder"] is None:
        return {**state, "images": None, "training_parameters": None}
    counts = dict(pl.read_parquet(files.items, columns=["split"]).group_by("split").len().iter_rows())
    return {
        **state,
        "images": {split: counts.get(split, 0) for split in SPLITS},
        "training_parameters": json.loads(files.training_params.read_bytes()),
    }


def describe_upload(upload: "Upload", home: "FactoryHome") -> list[str]:
    """Return the lines that `show` prints.

    Args:
        upload: of this home.
        home: contains the files of the dataset, or the report of the release.
    """
    import polars as pl

    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
    from factory_pipeline.onboarding.onboarding import Onboarding
    from factory_pipeline.onboarding.products.training_params import TrainingParameters
    from factory_pipeline.splits.names import SPLITS

    lines = [f"{upload.key}  {upload.status.value}"]
    if upload.reason:
        lines.append(f"{upload.reason} [{upload.code or '-'}]")
    release = home.release(upload.key).report
    if release.exists():
        return [*lines, *str(ReleaseReport.load(release)).splitlines()]
    files = home.upload(upload.key).finished
    if not files.root.exists():
        return lines
    counts = dict(pl.read_parquet(files.items, columns=["split"]).group_by("split").len().iter_rows())
    lines.append("Images   " + ", ".join(f"{counts.get(split, 0)} {split}" for split in SPLITS))
    onboarding = Onboarding(upload.key, home, IntakePolicy.of_home(home))
    lines += [f"Note     {remark}" for remark in onboarding.remarks()]
    notes = onboarding.split_notes()
    lines += [f"{'LEAK' if notes.leaks else 'Leaks'}".ljust(9) + notes.found]
    lines += [f"         {sentence}" for sentence in (*notes.limits, *notes.reused)]
    parameters = TrainingParameters.read(files.training_params)
    lines += [
        f"Band     {band.modality} {band.band}: mean {band.mean:.6g}, std {band.std:.6g}"
        for band in parameters.bands
        if band.mean is not None
    ]
    lines += [
        f"Label    {known.id} {known.name}: {known.share:.1%} of the pixels, weight {known.weight:.3g}"
        for known in parameters.classes
    ]
    if parameters.label is not None and parameters.label.mean is not None:
        label = parameters.label
        lines.append(
            f"Label    {label.minimum:.6g} to {label.maximum:.6g}, mean {label.mean:.6g}, std {label.std:.6g}"
        )
    lines += [f"Page     {files.page}", f"Folder   {files.root}"]
    return lines
