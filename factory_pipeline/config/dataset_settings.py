"""The settings of the build of a recipe's dataset: what goes in, what comes out."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from factory_pipeline.config.build_settings import CATALOG_PATIENCE_S
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.locations import Location
from factory_pipeline.config.problems import problems_of
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.atomic import write_settings
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome


class DatasetSettings(BaseModel):
    """What a build was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: DatasetRecipe
    output: Location
    """Where the dataset and its files are written."""
    catalog: str = "planetary-computer"
    """A provider's name, a STAC API's URL, a provider file, or a folder with a static catalog."""
    catalog_patience_s: float = Field(CATALOG_PATIENCE_S, gt=0)
    """How long a catalog that is busy or unavailable is asked again in all, in seconds."""
    workers: int = Field(2, ge=1)
    """Batches that are extracted at the same time."""
    bytes_in_flight: int = Field(256 * 2**20, ge=2**20)
    """Bytes of rasters that a worker fetches and decodes at a time, beside the windows that it has cut."""
    max_lost_share: float = Field(0.05, ge=0, le=1)
    """Largest share of the labels that may be lost to the catalog or the archive, not by their own fault;
    above it the build stops, and what it lost is tried again by the next run."""

    received: str | None = None
    """Key of the recipe in the inbox that this build was started for; None of one that a command drives."""

    def save(self, home: FactoryHome) -> None:
        """Keep the settings in a home, by the name of the recipe."""
        write_settings(home.dataset_build(self.recipe.name), self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, home: FactoryHome, name: str) -> Self:
        """Return the settings of the build of a recipe.

        Args:
            home: of the build.
            name: of the recipe.

        Raises:
            RecipeError: the home has no such build, or its settings are not valid.
        """
        path = home.dataset_build(name)
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecipeError(f"The home {home.root} has no build of a recipe named {name!r}.") from None
        except ValidationError as error:
            raise RecipeError(
                f"The build settings {path} are not valid {problems_of(error, cls)}."
            ) from error

    @property
    def files(self) -> BuildFiles:
        """Where the files of this build are."""
        return BuildFiles(self.output)
