"""`factory verify`: compare what was made with what it was made of."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory_pipeline.cli.terminal import echo_block

if TYPE_CHECKING:
    from factory_pipeline.builds.verification.report import VerificationReport


@click.command()
@click.argument("target")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="How many samples of a build are compared.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides which samples are drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def verify(context: click.Context, target: str, samples: int, seed: int, as_json: bool) -> None:
    """Compare a build with the original rasters; a version or an export with its hashes.

    TARGET is the folder of a build's output, of an export or of a download of one, the id of a version, or
    NAME@1.0.0. Samples of a build are drawn at random and read again from the archive by rasterio,
    independently of the engine that made them. Of the build of a recipe every file is compared with what its
    recipe says. Of a version and of exports every hash is computed again. The
    exit code is 1 if anything differs.
    """
    report = _verify_target(target, samples, seed)
    echo_block(json.dumps(report.to_json(), indent=2) if as_json else str(report))
    context.exit(0 if report.passed else 1)


def _verify_target(target: str, samples: int, seed: int) -> "VerificationReport":
    """Find out what a target is, and verify it: each kind of target has one branch here."""
    from factory_pipeline.builds.verification.build_output import is_build_output, verify_build
    from factory_pipeline.datasets.exports.verify import is_export, verify_export

    folder = Path(target)
    if is_build_output(folder):
        return verify_build(folder, samples, seed)
    if is_export(folder):
        return verify_export(folder)
    if folder.is_dir():
        raise click.BadParameter(
            f"the folder {target} contains neither the output of a build nor an export.", param_hint="TARGET"
        )
    return _verify_version(target)


def _verify_version(named: str) -> "VerificationReport":

    from contextlib import closing

    from factory_pipeline.datalake.registry.of_home import open_registry
    from factory_pipeline.datasets.exports.verify import verify_version
    from factory_pipeline.storage.layout import FactoryHome

    home = FactoryHome.from_environment()
    where = home.registry_address
    if isinstance(where, Path) and not where.exists():
        raise click.BadParameter(
            f"{named} is not a folder, and there is no factory at {home.root} with a version of this"
            " name; FACTORY_HOME names another one.",
            param_hint="TARGET",
        )
    with closing(open_registry(home)) as registry:
        return verify_version(registry, home, named)


ALL = [verify]
