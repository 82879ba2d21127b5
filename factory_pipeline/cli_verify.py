"""`factory verify`: compare what was made with what it was made of."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from factory_pipeline.verification.report import VerificationReport


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
    """Compare the output of a build with the original rasters, pixel by pixel.

    TARGET is the folder of a build's output. Samples are drawn at random and read again from the archive by
    rasterio, independently of the engine that made them. The exit code is 1 where anything differs.
    """
    report = _verify_target(target, samples, seed)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else str(report))
    context.exit(0 if report.passed else 1)


def _verify_target(target: str, samples: int, seed: int) -> "VerificationReport":
    """Find out what a target is, and verify it: each kind of target has one branch here."""
    from factory_pipeline.verification.build_output import is_build_output, verify_build

    folder = Path(target)
    if is_build_output(folder):
        return verify_build(folder, samples, seed)
    raise click.BadParameter(f"{target} is not the output folder of a build.", param_hint="TARGET")


ALL = [verify]
