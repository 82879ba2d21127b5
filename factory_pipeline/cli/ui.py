"""`factory ui`: the studio and Dagster's web UI. Heavy imports are inside the command, as in `main`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory_pipeline.cli.terminal import echo

if TYPE_CHECKING:
    from factory_pipeline.storage.layout import FactoryHome


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where it listens.")
@click.option(
    "--port", type=click.IntRange(1, 65534), default=3000, show_default=True, help="Of Dagster's web UI."
)
@click.option(
    "--pages-port",
    type=click.IntRange(1, 65535),
    help="Of the studio.  [default: the next port after --port]",
)
@click.option(
    "--token",
    envvar="FACTORY_TOKEN",
    default="",
    help="What a browser must give to be let in; needed where --host is not this machine alone.",
)
@click.option(
    "--public-origin",
    default="",
    metavar="URL",
    help="Where a reverse proxy serves the studio, such as https://factory.example.",
)
@click.option(
    "--dagster-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A dagster.yaml that becomes the home's, in place of one that it has.",
)
def ui(
    host: str,
    port: int,
    pages_port: int | None,
    token: str,
    public_origin: str,
    dagster_config: Path | None,
) -> None:
    """Open the studio on FACTORY_HOME (default ./factory_home), with sensors and schedules running.

    The studio is where datasets are added, looked at and used; Dagster's web UI shows the runs behind it.
    """
    from factory_pipeline.storage.layout import FactoryHome
    from factory_pipeline.web.ui import WebUi

    home = FactoryHome.from_environment()
    served = WebUi(home, host, port, pages_port or port + 1, token, public_origin)
    served.prepare(dagster_config)
    echo(f"Studio: {served.pages_url}", f"Runs (Dagster): {served.url}")
    echo(f"Factory home: {served.home.root}", f"Log: {served.log}")
    echo(*describe_watched(served.home), "Starting ...")
    served.serve(lambda: echo(f"Ready: {served.pages_url}  (Ctrl-C ends it)"))
    echo("The studio has ended.")


def describe_watched(home: "FactoryHome") -> list[str]:
    """Describe which folders are watched, or why that is not known."""
    from factory_pipeline.builds.footprint_stages import describe_watched
    from factory_pipeline.config.build_settings import BuildSettings
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.errors import FactoryError
    from factory_pipeline.redaction import display

    try:
        granules = describe_watched(BuildSettings.load(home))
        uploads = ", ".join(map(display, IntakePolicy.of_home(home).inboxes(home)))
        return [
            f"Watched for granules: {granules}",
            f"Watched for uploads:  {uploads}",
            f"Watched for specs:    {home.spec_inbox}",
            f"Watched for recipes:  {home.recipe_inbox}",
        ]
    except FactoryError as error:
        return [str(error)]


ALL: list[click.Command] = [ui]
