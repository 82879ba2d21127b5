"""How tables and the registry name files: relative to the factory home, so that a home can be moved."""

from pathlib import Path

from factory_pipeline.storage.layout import FactoryHome


def relative_to_home(path: Path, home: FactoryHome) -> str:
    """The name of a file in tables: relative to the home where it lies in it, else absolute."""
    place, root = path.absolute(), home.root.absolute()
    return (place.relative_to(root) if place.is_relative_to(root) else place).as_posix()


def resolve(name: str, home: FactoryHome) -> Path:
    """The file that `relative_to_home` named."""
    return home.root / name
