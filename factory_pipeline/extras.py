"""Optional packages: which extra installs each, and the error where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from factory_pipeline.errors import MissingExtraError

EXTRAS = {
    "plots": ("PIL", "matplotlib"),
    "postgres": ("psycopg",),
    "cluster": ("dagster_aws", "dagster_celery", "dagster_k8s", "dagster_postgres"),
    "fields": ("torch",),
    "build": (
        "affine",
        "alembic",
        "anyio",
        "dagster",
        "dagster_webserver",
        "fsspec",
        "isal",
        "jinja2",
        "markupsafe",
        "obstore",
        "planetary_computer",
        "pyarrow",
        "pyogrio",
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
    "volumes": ("pyarrow", "scipy", "tensorstore"),
}
"""By extra of pyproject.toml: the modules that its packages are imported as."""


@contextmanager
def extras_named() -> Iterator[None]:
    """Turn a missing optional package, imported in the block, into an error that names its extra.

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
