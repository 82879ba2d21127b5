"""The dataset factory for geospatial machine learning."""

import importlib
from typing import TYPE_CHECKING, Any

from factory_pipeline.version import __version__

__all__ = ["DatasetClient", "DatasetRequest", "__version__"]

if TYPE_CHECKING:
    from factory_pipeline.datasets.request import DatasetRequest
    from factory_pipeline.sdk.client import DatasetClient

_MODULES = {"DatasetClient": "sdk.client", "DatasetRequest": "datasets.request"}


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line must start fast.
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
