"""How tables and the registry store paths: relative to the factory home, so that a home can be moved."""

from pathlib import Path

from factory_pipeline.storage.layout import FactoryHome


def relative_to_home(path: Path, home: FactoryHome) -> str:
    """Return a path as tables store it: relative to the home if the file is in it, else absolute.

    Args:
        path: absolute, or relative to the current folder.
        home: the factory home.
    """
    absolute, root = path.absolute(), home.root.absolute()
    return (absolute.relative_to(root) if absolute.is_relative_to(root) else absolute).as_posix()


def resolve(name: str, home: FactoryHome) -> Path:
    """Return the path of a file from what `relative_to_home` returned.

    Args:
        name: relative to the home, or absolute.
        home: the factory home.
    """
    return home.root / name
