"""Commands for curated datasets. Heavy imports are inside the commands, as in `main`."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.own_process import import_runs
from factory_pipeline.cli.paths import PATH, make_absolute
from factory_pipeline.cli.terminal import confirm, echo
from factory_pipeline.cli.upload import (
    describe_upload,
    existing_home,
    upload_facts,
    upload_named,
    usable_home,
)

if TYPE_CHECKING:
    from factory_pipeline.storage.layout import FactoryHome


@click.command()
@click.argument("url")
@click.option(
    "--data-suffix", "data_suffixes", multiple=True, required=True, help="Of the images; one per modality."
)
@click.option("--label-suffix", required=True, help="Of the labels.")
@click.option(
    "--splits",
    type=click.Choice(["folders"]),
    help="folders: the archive has folders train, test and val, in which files may have the same names.",
)
@json_option
def prescan(
    url: str, data_suffixes: tuple[str, ...], label_suffix: str, splits: str | None, as_json: bool
) -> None:
    """Look into an archive without downloading it: do images and labels match, and which bands are there?"""
    import sys

    from factory_pipeline.cli.manifest_prompt import describe_scan
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.onboarding.checks.prescan import prescan as scan
    from factory_pipeline.splits.split_rule import FOLDER_WORDS

    policy = IntakePolicy.of_home(usable_home(), all_folders=True)
    folders = FOLDER_WORDS if splits else ()
    report = scan(make_absolute(url), data_suffixes, label_suffix, policy, split_folders=folders)
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
@json_option
def onboard(
    manifest: str,
    name: str | None,
    purpose: str | None,
    data_suffixes: tuple[str, ...],
    label_suffix: str | None,
    named: tuple[str, ...],
    label_nodata: float | None,
    as_json: bool,
) -> None:
    """Make a dataset for training from an archive of images and labels.

    A MANIFEST (YAML) says everything; `factory new-manifest` writes one. With the URL of an archive the
    options say the least that is needed. A manifest may be in an object store, such as s3://bucket/a.yaml.
    """
    home = usable_home()
    with tempfile.TemporaryDirectory() as folder:
        path: Path | str = manifest if "://" in manifest else Path(manifest)
        if not manifest.lower().endswith((".yaml", ".yml")):
            if not (purpose and data_suffixes and label_suffix):
                raise click.UsageError(
                    "With the address of an archive, set --purpose, --data-suffix and --label-suffix;"
                    " or pass a manifest (*.yaml)."
                )
            document = _bare_manifest(manifest, name, purpose, data_suffixes, label_suffix)
            if label_nodata is not None:
                document["label_nodata"] = label_nodata
            if named or _is_segmentation(purpose):
                document["label_categories"] = _categories(document, named, home)
            path = _write_bare_manifest(Path(folder), document)
        onboard_and_show(path, home, as_json=as_json)


@click.command("new-manifest")
@click.option("--output", type=PATH, metavar="FILE", help="[default: NAME.yaml in this folder]")
def new_manifest(output: Path | None) -> None:
    """Ask for the content of a manifest, prefilled by a pre-scan of the archive, and write it.

    After Ctrl-C the answers are in a draft beside the manifest, with which the next call continues.
    """
    from factory_pipeline.cli.manifest_prompt import ask_manifest, read_draft
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.onboarding.manifest.write import write_manifest
    from factory_pipeline.storage.slug import slug

    draft = (output or Path("new-manifest.yaml")).with_suffix(".draft.yaml")
    document = (
        read_draft(draft) if draft.exists() and confirm(f"Continue with {draft}?", default=True) else {}
    )
    try:
        ask_manifest(IntakePolicy.of_home(usable_home(), all_folders=True), document)
    except BaseException as stop:
        # What every manifest says was not answered, and lists are empty before their first answer.
        if any(answer for key, answer in document.items() if key != "type_of_upload"):
            write_manifest(document, draft)
            echo(
                "",
                f"The answers are in {draft}; `factory new-manifest` continues from there.",
                err=True,
            )
            if isinstance(stop, click.Abort | KeyboardInterrupt):
                sys.exit(130)  # That sentence says what is left of it.
        raise
    target = output or Path(f"{slug(document['dataset_name'])}.yaml")
    if target.exists() and not confirm(f"{target} already exists; overwrite it?"):
        echo("Nothing was written.")
        return
    write_manifest(document, target)
    draft.unlink(missing_ok=True)
    echo(f"Written: {target}", f"Next:    factory onboard {target}")


@click.command()
@click.argument("name")
def finetune(name: str) -> None:
    """Train a model on an onboarded dataset by `terratorch fit`, as its configuration says."""
    import_runs()
    from factory_pipeline.runs.onboarding import finetune as run

    home = existing_home()
    echo(f"Trained; its files are in {run(upload_named(name, home), home)}")


ALL = [prescan, onboard, new_manifest, finetune]


def onboard_and_show(
    manifest: Path | str, home: "FactoryHome", *, quiet: bool = False, as_json: bool = False
) -> None:
    """Onboard an upload in this process with a progress line, then print what its dataset contains.

    Args:
        manifest: a path, or the address of an object.
        home: made where it does not exist.
        quiet: print nothing about the finished dataset.
        as_json: print it as JSON instead of text.

    Raises:
        OnboardingError: as `runs.onboarding.onboard`.
    """
    import_runs()
    from factory_pipeline.runs.onboarding import onboard as run
    from factory_pipeline.sdk.progress_bar import ProgressLine

    with ProgressLine() as line:
        upload = run(manifest, home, line.show, _say_finished)
    if as_json:
        echo_json(upload_facts(upload, home))
    elif not quiet:
        echo(*describe_upload(upload, home))


def _say_finished(key: str) -> None:
    echo(
        f"{key} was onboarded before from the same manifest and archive: nothing is done, its dataset is left"
        " as it is.",
        err=True,
    )


def _bare_manifest(
    url: str, name: str | None, purpose: str, data_suffixes: tuple[str, ...], label_suffix: str
) -> dict[str, Any]:
    """Return the least that a manifest says about an archive.

    Raises:
        click.UsageError: there is no such file.
    """
    from urllib.parse import urlsplit

    address = make_absolute(url)
    if "://" not in address and not Path(address).is_file():
        raise click.UsageError(f"The file {address} does not exist.")
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
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.onboarding.checks.file_roles import Suffixes
    from factory_pipeline.onboarding.label_values import label_values
    from factory_pipeline.onboarding.manifest.write import categories_of

    names: dict[int, str] = {}
    for text in named:
        value, equals, label = text.partition("=")
        if not (equals and value.strip().isdecimal() and label.strip()):
            raise click.UsageError(f"--category {text!r} is not a value and a name, such as 1=Water.")
        names[int(value)] = label.strip()
    found: list[int] = []
    if len(names) < 2:
        echo("Reading the values of the masks ...", err=True)
        suffixes = Suffixes(tuple(document["training_data_suffixes"]), document["label_suffix"])
        policy = IntakePolicy.of_home(home, all_folders=True)
        found = label_values(document["dataset_url"], suffixes, policy, document.get("label_nodata"))
    categories = categories_of(sorted({*found, *names}), names)
    echo("Label categories; --category VALUE=NAME names one, --label-nodata leaves a value out:", err=True)
    echo(*(f"  {category['id']:>5} {category['name']}" for category in categories), err=True)
    return categories


def _write_bare_manifest(folder: Path, document: dict[str, Any]) -> Path:
    """Return a manifest in a folder that goes with the command: the address may hold a secret."""
    from factory_pipeline.onboarding.manifest.write import write_manifest

    path = folder / "manifest.yaml"
    write_manifest(document, path)
    return path
