"""What assets are given."""

import dagster as dg

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome


class FactoryResource(dg.ConfigurableResource):
    """The factory home that assets and sensors work in."""

    home: str = ""
    """A folder; empty means the one that FACTORY_HOME names, else `./factory_home`."""

    all_folders: bool = False
    """Whether uploads may come from any folder, as for a user who names files on the command line."""

    def folder(self) -> FactoryHome:
        """Return where everything of this installation is."""
        return FactoryHome.at(self.home) if self.home else FactoryHome.from_environment()

    def settings(self) -> BuildSettings:
        """Return the build that the home works on now."""
        return BuildSettings.load(self.folder())

    def dataset_settings(self, name: str) -> DatasetSettings:
        """The settings of the build of a recipe, by the recipe's name."""
        return DatasetSettings.load(self.folder(), name)

    def intake_policy(self) -> IntakePolicy:
        """Return where uploads may come from, and how large they may be."""
        return IntakePolicy.of_home(self.folder(), all_folders=self.all_folders)

    def registry(self) -> Registry:
        """Return what the factory remembers; the caller closes it."""
        return open_registry(self.folder())
