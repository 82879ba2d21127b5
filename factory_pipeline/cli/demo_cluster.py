"""`make demo-cluster`: the demo's build on two workers, one of which is killed."""

import signal
from pathlib import Path

import click

from factory_pipeline.cli.errors import user_errors
from factory_pipeline.cli.paths import FILE, PATH
from factory_pipeline.cli.terminal import echo, echo_block
from factory_pipeline.errors import BuildError
from factory_pipeline.extras import extras_named


@click.command()
@click.option("--archive", type=PATH, required=True, help="The sample archive; made where there is none.")
@click.option("--output", type=PATH, required=True, help="A new folder, for the homes and what is built.")
@click.option("--dagster-config", type=FILE, required=True, help="The dagster.yaml of the workers' home.")
def demo_cluster(archive: Path, output: Path, dagster_config: Path) -> None:
    """Build the demo's dataset alone and on two workers, kill one at work, and compare the bytes.

    Ends with exit code 1 where they differ.
    """
    from factory_pipeline.config.build_settings import BuildSettings
    from factory_pipeline.config.recipe import Recipe
    from factory_pipeline.runs.demo_cluster import run_cluster_demo
    from factory_pipeline.sdk.progress_bar import BuildLine, ProgressLine
    from factory_pipeline.synthetic.archive import make_archive

    if output.exists():
        raise click.UsageError(f"{output} exists; remove it, or name another folder by --output.")
    archive, output = archive.absolute(), output.absolute()
    if not (archive / "stac" / "catalog.json").exists():
        with ProgressLine() as line:
            make_archive(archive, on_progress=line.show)
    settings = BuildSettings(
        granules=str(archive / "granules"),
        output=output,
        catalog=str(archive / "stac"),
        recipe=Recipe(batch_size=100),
        workers=2,
    )
    with BuildLine() as shown:
        demo = run_cluster_demo(
            settings, output, dagster_config.read_text(encoding="utf-8"), shown.show_build
        )
    echo_block(str(demo))
    if not demo.is_same:
        differ = [name for name, (alone, together) in demo.digests.items() if alone != together]
        raise BuildError(f"The bytes differ in {', '.join(differ) or 'no file, as there is none'}.")
    echo("The workers built the same bytes.")


if __name__ == "__main__":
    # Workers are in groups of their own, so that this process ends them, however it is ended itself.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with user_errors(), extras_named():
        demo_cluster.main(prog_name="make demo-cluster", standalone_mode=False)
