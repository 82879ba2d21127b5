"""Commands for curated datasets. Heavy imports stand inside the commands, as in `cli`."""

import json
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.help import FullHelpGroup
from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.terminal import confirm, echo

if TYPE_CHECKING:
    from factory_pipeline.datalake.registry.records import Upload
    from factory_pipeline.storage.layout import FactoryHome

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("url")
@click.option(
    "--data-suffix", "data_suffixes", multiple=True, required=True, help="Of the images; one per modality."
)
@click.option("--label-suffix", required=True, help="Of the labels.")
@json_option
def prescan(url: str, data_suffixes: tuple[str, ...], label_suffix: str, as_json: bool) -> None:
    """Look into an archive without downloading it: do images and labels match, and which bands are there?"""
    import sys

    from factory_pipeline.cli.manifest_prompt import describe_scan
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.onboarding.checks.prescan import prescan as scan

    policy = IntakePolicy.of_home(_home(), all_folders=True)
    report = scan(_absolute(url), data_suffixes, label_suffix, policy)
    if as_json:
        echo_json(report.as_json())
    else:
        echo(*describe_scan(report))
    if not report.passed:
        sys.exit(1)


@click.command()
@click.argument("manifest", metavar="MANIFEST|URL")
@click.option("--name", help="Of the dataset; with the URL of an archive.")
@click.option("--purpose", help="Such as Regression; with the URL of an archive.")
@click.option("--data-suffix", "data_suffixes", multiple=True, help="Of the images; with a URL.")
@click.option("--label-suffix", help="Of the labels; with a URL.")
@click.option(
    "--category",
    "named",
    multiple=True,
    metavar="VALUE=NAME",
    help="Of the masks, once for each; with a URL. Categories that are not named are read from the masks.",
)
@click.option("--label-nodata", type=float, metavar="VALUE", help="Of the labels, no data; with a URL.")
def onboard(
    manifest: str,
    name: str | None,
    purpose: str | None,
    data_suffixes: tuple[str, ...],
    label_suffix: str | None,
    named: tuple[str, ...],
    label_nodata: float | None,
) -> None:
    """Make a dataset for training from an archive of images and labels.

    A MANIFEST (YAML) says everything; `factory new-manifest` writes one. With the URL of an archive the
    options say the least that is needed. A manifest may lie in an object store, such as s3://bucket/a.yaml.
    """
    home = _home()
    with tempfile.TemporaryDirectory() as folder:
        path: Path | str = manifest if "://" in manifest else Path(manifest)
        if not manifest.lower().endswith((".yaml", ".yml")):
            if not (purpose and data_suffixes and label_suffix):
                raise click.UsageError(
                    "With the address of an archive, say --purpose, --data-suffix and --label-suffix;"
                    " or name a manifest (*.yaml)."
                )
            document = _bare_manifest(manifest, name, purpose, data_suffixes, label_suffix)
            if label_nodata is not None:
                document["label_nodata"] = label_nodata
            if named or _is_segmentation(purpose):
                document["label_categories"] = _categories(document, named, home)
            path = _written_manifest(Path(folder), document)
        onboard_and_tell(path, home)


@click.group("upload", cls=FullHelpGroup)
def upload_group() -> None:
    """Uploads and the datasets that they became by their onboarding."""


@upload_group.command("list")
@click.option("--all", "with_corrected", is_flag=True, help="Failed uploads too that a later one corrected.")
@json_option
def datasets(with_corrected: bool, as_json: bool) -> None:
    """List uploads and onboarded datasets with their status."""
    from factory_pipeline.datalake.registry.records import corrected_failures
    from factory_pipeline.runs.onboarding import open_registry

    home = _existing_home()
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
    """Say how far an upload is and what its dataset holds. NAME is a dataset's name or its key."""
    home = _existing_home()
    upload = _upload(name, home)
    if as_json:
        echo_json(_facts(upload, home))
    else:
        echo(*_about(upload, home))


@upload_group.command()
@click.argument("name")
@click.option("--output", type=PATH, metavar="FILE", help="[default: its key and .log, in this folder]")
def logs(name: str, output: Path | None) -> None:
    """Write everything that the runs of an onboarding said into one text file."""
    from factory_pipeline.runs.onboarding import run_log
    from factory_pipeline.storage.atomic import write_text

    home = _existing_home()
    upload = _upload(name, home)
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

    home = _existing_home()
    upload = _upload(name, home, exactly=True)
    if not yes and not confirm(f"Delete {upload.key} with all its files?"):
        echo("Nothing was deleted.")
        return
    remove(upload.key, home)
    echo(f"{upload.key} was deleted.")


@click.command("new-manifest")
@click.option("--output", type=PATH, metavar="FILE", help="[default: NAME.yaml in this folder]")
def new_manifest(output: Path | None) -> None:
    """Ask for what a manifest says, prefilled by a pre-scan of the archive, and write it.

    What was answered until Ctrl-C is kept in a draft beside the manifest, with which the next call goes on.
    """
    from factory_pipeline.cli.manifest_prompt import ask_manifest, read_draft, write_manifest
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.storage.slug import slug

    draft = (output or Path("new-manifest.yaml")).with_suffix(".draft.yaml")
    document = read_draft(draft) if draft.exists() and confirm(f"Go on with {draft}?", default=True) else {}
    try:
        ask_manifest(IntakePolicy.of_home(_home(), all_folders=True), document)
    except BaseException:
        if document:
            write_manifest(document, draft)
            echo(
                "",
                f"What was answered is kept in {draft}; `factory new-manifest` goes on from there.",
                err=True,
            )
        raise
    target = output or Path(f"{slug(document['dataset_name'])}.yaml")
    if target.exists() and not confirm(f"{target} is there already; write it again?"):
        echo("Nothing was written.")
        return
    write_manifest(document, target)
    draft.unlink(missing_ok=True)
    echo(f"Written: {target}", f"Next:    factory onboard {target}")


@click.command()
@click.argument("name")
def finetune(name: str) -> None:
    """Train a model on an onboarded dataset by `terratorch fit`, as its configuration says."""
    from factory_pipeline.runs.onboarding import finetune as run

    home = _existing_home()
    echo(f"Trained; its files lie in {run(_upload(name, home), home)}")


ALL = [prescan, onboard, upload_group, new_manifest, finetune]


def onboard_and_tell(manifest: Path | str, home: "FactoryHome", *, quiet: bool = False) -> None:
    """Onboard an upload in this process with a progress line, then say what its dataset holds."""
    from factory_pipeline.runs.onboarding import onboard as run
    from factory_pipeline.sdk.progress_bar import ProgressLine

    with ProgressLine() as line:
        upload = run(manifest, home, line.show)
    if not quiet:
        echo(*_about(upload, home))


def drop_and_wait(uploads: Path, home: "FactoryHome", there: Sequence[str]) -> None:
    """Drop uploads into the inbox of a running daemon, and say how they and those `there` already go."""
    from factory_pipeline.runs.daemon import drop_uploads, running_daemon, wait_for_uploads

    echo(
        "",
        "Onboarding the dataset and two sample uploads: they lie in the inbox, a daemon does the rest.",
    )
    with running_daemon(home) as daemon:
        names = [*drop_uploads(uploads, home), *there]
        found = wait_for_uploads(
            home, names, daemon, 600, lambda upload: echo(f"  {upload.key}: {upload.status.value}")
        )
    for upload in found:
        echo(*_about(upload, home))


def _home() -> "FactoryHome":
    from factory_pipeline.storage.layout import FactoryHome

    home = FactoryHome.from_environment()
    home.require_folder()
    return home


def _existing_home() -> "FactoryHome":
    home = _home()
    home.require_existing()
    return home


def _upload(name: str, home: "FactoryHome", *, exactly: bool = False) -> "Upload":
    from factory_pipeline.runs.onboarding import find_upload, open_registry

    with closing(open_registry(home)) as registry:
        return find_upload(registry, name, exactly=exactly)


def _absolute(url: str) -> str:
    return url if "://" in url else str(Path(url).absolute())


def _bare_manifest(
    url: str, name: str | None, purpose: str, data_suffixes: tuple[str, ...], label_suffix: str
) -> dict[str, Any]:
    """The least that a manifest says about an archive.

    Raises:
        click.UsageError: there is no such file.
    """
    from urllib.parse import urlsplit

    address = _absolute(url)
    if "://" not in address and not Path(address).is_file():
        raise click.UsageError(f"There is no file {address}.")
    return {
        "purpose": purpose,
        "dataset_url": address,
        "training_data_suffixes": list(data_suffixes),
        "label_suffix": label_suffix,
        "dataset_name": name or Path(urlsplit(address).path).name.partition(".")[0],
    }


def _is_segmentation(purpose: str) -> bool:
    from factory_pipeline.config.lenient_keys import fold
    from factory_pipeline.onboarding.manifest.model import PURPOSES, Purpose

    return PURPOSES.get(fold(purpose)) is Purpose.SEGMENTATION


def _categories(
    document: dict[str, Any], named: tuple[str, ...], home: "FactoryHome"
) -> list[dict[str, Any]]:
    """The label categories: those that are named, and the other values of the masks under names of theirs."""
    from factory_pipeline.cli.manifest_prompt import categories_of
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.onboarding.checks.file_roles import Suffixes
    from factory_pipeline.onboarding.label_values import label_values

    names: dict[int, str] = {}
    for text in named:
        value, equals, label = text.partition("=")
        if not (equals and value.strip().isdecimal() and label.strip()):
            raise click.UsageError(f"--category {text!r} is not a value and a name, such as 1=Water.")
        names[int(value)] = label.strip()
    found: list[int] = []
    if len(names) < 2:
        echo("Reading which values the masks hold ...", err=True)
        suffixes = Suffixes(tuple(document["training_data_suffixes"]), document["label_suffix"])
        policy = IntakePolicy.of_home(home, all_folders=True)
        found = label_values(document["dataset_url"], suffixes, policy, document.get("label_nodata"))
    categories = categories_of(sorted({*found, *names}), names)
    echo("Label categories; --category VALUE=NAME names one, --label-nodata leaves a value out:", err=True)
    echo(*(f"  {category['id']:>5} {category['name']}" for category in categories), err=True)
    return categories


def _written_manifest(folder: Path, document: dict[str, Any]) -> Path:
    """A manifest in a folder that goes with the command: the address may hold a secret."""
    from factory_pipeline.cli.manifest_prompt import write_manifest

    path = folder / "manifest.yaml"
    write_manifest(document, path)
    return path


def _state(upload: "Upload", home: "FactoryHome") -> dict[str, Any]:
    """An upload in a listing, as JSON."""
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


def _facts(upload: "Upload", home: "FactoryHome") -> dict[str, Any]:
    """What `show --json` prints: the state, and of a finished dataset its images and training parameters."""
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


def _about(upload: "Upload", home: "FactoryHome") -> list[str]:
    """The lines that `show` prints."""
    import polars as pl

    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.onboarding.products.training_params import TrainingParameters
    from factory_pipeline.onboarding.stages import Onboarding
    from factory_pipeline.splits.names import SPLITS

    lines = [f"{upload.key}  {upload.status.value}"]
    if upload.reason:
        lines.append(f"{upload.reason} [{upload.code or '-'}]")
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
