"""Types of options and arguments that are paths, and how paths are kept and shown."""

from pathlib import Path

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)


def make_absolute(location: str) -> str:
    """Return a local path as an absolute one: the web UI may run in another folder.

    Args:
        location: a path, a URL, which is returned as it is, or an empty text, likewise.
    """
    return location if not location or "://" in location else str(Path(location).absolute())


def shorten(path: Path) -> str:
    """Return a path below the working directory relative to it, others as they are."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
