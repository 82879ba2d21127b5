"""The dataset factory for geospatial machine learning."""

from typing import TYPE_CHECKING, Any

from factory_pipeline.version import __version__

__all__ = ["DatasetClient", "__version__"]

if TYPE_CHECKING:
    from factory_pipeline.sdk.client import DatasetClient


def __getattr__(name: str) -> Any:
    # The client is imported when it is asked for: the command line must answer at once.
    if name == "DatasetClient":
        from factory_pipeline.sdk.client import DatasetClient

        return DatasetClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
