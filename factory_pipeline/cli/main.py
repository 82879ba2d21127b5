"""The command line. Heavy imports are inside the commands, so that `factory --help` is fast."""

import sys
from collections.abc import Sequence

import click

from factory_pipeline.cli import (
    build,
    collection,
    dataset,
    demo,
    doctor,
    fields,
    fuse,
    inspect,
    onboarding,
    recipes,
    releases,
    splits,
    ui,
    upload,
    verify,
    volumes,
    worker,
)
from factory_pipeline.cli.errors import INTERRUPTED_STATUS, user_errors
from factory_pipeline.cli.help import FullHelpGroup, Section
from factory_pipeline.cli.own_process import OwnProcess
from factory_pipeline.extras import extras_named
from factory_pipeline.version import __version__

SECTIONS: Sequence[Section] = [
    ("Get started", ["demo", "ui", "sample", "doctor", "completion"]),
    ("Building datasets", ["create-dataset", "new-recipe", "check-recipe", "inspect", "fuse", "verify"]),
    ("Uploads", ["new-manifest", "prescan", "onboard", "upload", "finetune"]),
    (
        "Image pairs and fields from volumes",
        ["create-spec", "make-dataset", "download-image", "generate-fields", "concat-fields"],
    ),
    ("Data lake", ["collection", "import-release"]),
    ("Datasets of your own, in versions", ["dataset", "release", "splits"]),
    ("On a cluster", ["worker"]),
]
OLD_NAMES = {
    "datasets": ["upload", "list"],
    "show": ["upload", "show"],
    "logs": ["upload", "logs"],
    "delete": ["upload", "delete"],
    "collections": ["collection", "list"],
    "annotate": ["collection", "annotate"],
    "delete-collection": ["collection", "delete"],
}
"""Commands by the names that they had before they came into groups."""


@click.group(
    cls=FullHelpGroup,
    sections=SECTIONS,
    aliases=OLD_NAMES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="factory")
def cli() -> None:
    """The dataset factory: from raw Earth observation to training-ready datasets."""


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete the commands and options of factory.

    For bash: add `eval "$(factory completion bash)"` to ~/.bashrc; zsh likewise, in ~/.zshrc. For fish:
    factory completion fish > ~/.config/fish/completions/factory.fish
    """
    from click.shell_completion import get_completion_class

    shown = get_completion_class(shell)
    assert shown is not None
    # A script, of which every character counts.
    click.echo(shown(cli, {}, "factory", "_FACTORY_COMPLETE").source())  # noqa: TID251


for command in [
    *build.ALL,
    *recipes.ALL,
    *inspect.ALL,
    *fuse.ALL,
    *demo.ALL,
    *ui.ALL,
    *worker.ALL,
    *onboarding.ALL,
    upload.upload_group,
    dataset.dataset,
    splits.splits,
    collection.collection_group,
    *releases.ALL,
    *verify.ALL,
    *doctor.ALL,
    *volumes.ALL,
    *fields.ALL,
]:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error that a user can correct is printed as one sentence.

    Args:
        arguments: of the command; None takes those that were typed, and the process belongs to the command.
    """
    own = OwnProcess() if arguments is None else None
    try:
        with user_errors(), extras_named():
            # Outside of its standalone mode, click returns the status that a command exits with.
            status = cli.main(args=arguments, prog_name="factory", standalone_mode=False, obj=own)
    except SystemExit as ended:
        if own is not None and ended.code == INTERRUPTED_STATUS:
            own.end(INTERRUPTED_STATUS)
        raise
    if isinstance(status, int):
        sys.exit(status)
