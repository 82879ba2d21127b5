"""Types of options and arguments that are paths, and how paths are kept and shown."""

from pathlib import Path
from typing import Any

import click

from factory_pipeline.errors import StoreError
from factory_pipeline.storage.stored_path import is_store, to_path


class _LocalPath(click.Path):
    """A path of this machine; an address would become a folder that is named like one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or refuse an address."""
        if isinstance(value, str) and is_store(value):
            self.fail(f"{value} is on an object store; allowed is a path of this machine.", param, ctx)
        return super().convert(value, param, ctx)


class _Place(click.Path):
    """A path of this machine, or an address on an object store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of a location."""
        if not isinstance(value, str) or not is_store(value):
            return super().convert(value, param, ctx)
        try:
            return to_path(value)
        except StoreError as error:
            self.fail(str(error), param, ctx)


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PATH = _LocalPath(path_type=Path)
PLACE = _Place(path_type=Path)
"""Where a dataset is written: a path, or an address such as `s3://bucket/folder`."""


def make_absolute(location: str) -> str:
    """Return a local path as an absolute one: the web UI may run in another folder.

    Args:
        location: a path, a URL, which is returned as it is, or an empty text, likewise.
    """
    return location if not location or "://" in location else str(Path(location).absolute())


def shorten(path: Path) -> str:
    """Return a path below the working directory relative to it, others as they are."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
