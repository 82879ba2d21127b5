"""Packages that only some uses need: which extra installs each, and what is said where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from factory_pipeline.errors import MissingExtraError

EXTRAS = {
    "plots": ("PIL", "matplotlib"),
    "postgres": ("psycopg",),
    "build": (
        "affine",
        "alembic",
        "anyio",
        "dagster",
        "dagster_webserver",
        "fsspec",
        "isal",
        "jinja2",
        "obstore",
        "planetary_computer",
        "pyarrow",
        "pyproj",
        "pystac",
        "pystac_client",
        "rasterio",
        "scipy",
        "sqlalchemy",
        "starlette",
        "tifffile",
        "typing_extensions",
        "urllib3",
        "uvicorn",
    ),
}
"""By extra of pyproject.toml: the modules that its packages are imported as."""


@contextmanager
def extras_named() -> Iterator[None]:
    """Around imports of what a use needs: a missing package is told by the extra that has it.

    Raises:
        MissingExtraError: a package of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        for extra, packages in EXTRAS.items():
            if package in packages:
                raise MissingExtraError(package, extra) from error
        raise
