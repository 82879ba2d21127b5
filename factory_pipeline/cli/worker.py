"""`factory worker`: a process of a cluster. Heavy imports are inside the command, as in `main`."""

import click


@click.command()
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Most runs at the same time; each extracts with as many threads as this machine has cores.",
)
def worker(runs: int) -> None:
    """Work on runs of FACTORY_HOME as one of several machines; its dagster.yaml names the Celery broker."""
    from factory_pipeline.runs.worker import serve_runs
    from factory_pipeline.storage.layout import FactoryHome

    serve_runs(FactoryHome.from_environment(), runs)


ALL: list[click.Command] = [worker]
