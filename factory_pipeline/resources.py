"""What assets are given."""

from pathlib import Path

import dagster as dg

from factory_pipeline.settings import BuildSettings
from factory_pipeline.storage import FactoryHome


class Factory(dg.ConfigurableResource):
    """The factory home that assets and sensors work in."""

    home: str = ""
    """A folder; empty means the one that FACTORY_HOME names, else `./factory_home`."""

    def folder(self) -> FactoryHome:
        """Where everything of this installation lies."""
        return FactoryHome(Path(self.home).absolute()) if self.home else FactoryHome.from_environment()

    def settings(self) -> BuildSettings:
        """The build that the home works on now."""
        return BuildSettings.load(self.folder())
