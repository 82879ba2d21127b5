"""`factory doctor`: check an installation."""

import click

from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.terminal import echo

MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED"}


@click.command()
@click.option(
    "--catalog",
    default="",
    metavar="NAME|URL|PATH",
    help="Also check that a catalog answers; a provider's name, a STAC API's URL, or a folder.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the web servers listen.")
@click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    default=(3000, 3001),
    show_default=True,
    help="Of a web server; can be given several times.",
)
@json_option
@click.pass_context
def doctor(context: click.Context, catalog: str, host: str, ports: tuple[int, ...], as_json: bool) -> None:
    """Check this installation: versions, disk, locks, clock, databases, daemon, ports, a catalog.

    Says for each check what was found and what to do. The exit code is 1 if a check failed; a warning does
    not fail.
    """
    from factory_pipeline.runs.doctor import examine_installation
    from factory_pipeline.storage.layout import FactoryHome

    findings = examine_installation(FactoryHome.from_environment(), catalog=catalog, host=host, ports=ports)
    if as_json:
        echo_json(findings)
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            text = " ".join(filter(None, (finding.detail, finding.advice)))
            echo(f"{MARKS[finding.status]:8} {finding.check:{width}}  {text}")
    context.exit(1 if any(finding.status == "failed" for finding in findings) else 0)


ALL = [doctor]
