"""The settings of one build: inputs, outputs and recipe. Stored as `build.yaml`."""

from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from factory_pipeline.config.locations import Location
from factory_pipeline.config.problems import problems_of
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import DocumentError, RecipeError
from factory_pipeline.storage.atomic import write_settings
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.yaml_document import read_yaml

CATALOG_PATIENCE_S = 30.0
"""How long a catalog that does not answer is waited for, unless a build says otherwise."""

Modality = Literal["S2", "DEM", "LC"]
"""Sentinel-2 reflectances; altitude and slope; land cover as class codes."""


class BuildSettings(BaseModel):
    """What a build was requested. Every door (command line, web UI, sensors) works from the same settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    granules: str
    """A folder or an object-store prefix with GEDI L4A granules."""
    granule_inbox: Location | None = Field(None, exclude=True)
    """The home's inbox, whose granules are read too; it follows from the home and is not saved."""
    output: Location
    """Where the dataset and its files are written."""
    catalog: str = "planetary-computer"
    """A provider's name, a STAC API's URL, a provider file, or a folder with a static catalog."""
    recipe: Recipe = Recipe()
    catalog_patience_s: float = Field(CATALOG_PATIENCE_S, gt=0)
    """How long a busy or unavailable catalog is retried in total, in seconds."""
    workers: int = Field(2, ge=1)
    """Batches, and granules, that are worked on at the same time."""
    bytes_in_flight: int = Field(256 * 2**20, ge=2**20)
    """Bytes of rasters that a worker fetches and decodes at a time, beside the windows that it has cut."""
    max_lost_share: float = Field(0.05, ge=0, le=1)
    """Largest share of the footprints that may be lost to the catalog or the archive, not by their own fault;
    above it the build stops, and what it lost is tried again by the next run."""
    aggregated_csv: dict[str, Location] = {}
    """By split: a CSV of footprints that replaces aggregation and filtering."""
    subset_csv: dict[str, Location] = {}
    """By split: a CSV of footprints that replaces aggregation, filtering and sampling."""
    plot_distribution: bool = False
    """Also plot all footprints that passed the filter, not only the subset."""
    onboard: bool = False
    """Onboard the fused dataset like an upload; needs about as much space again as the dataset."""
    onboard_modalities: Annotated[tuple[Modality, ...], Field(min_length=1)] = ("S2",)
    """The rasters that are inputs of a model of the onboarded dataset."""

    @property
    def files(self) -> BuildFiles:
        """Where the files of this build are."""
        return BuildFiles(self.output)

    @property
    def watched(self) -> list[str]:
        """Where granules are read from: the source of the build, and the inbox of the home."""
        inbox = [str(self.granule_inbox)] if self.granule_inbox is not None else []
        return list(dict.fromkeys([self.granules, *inbox]))

    @property
    def splits_from_granules(self) -> list[str]:
        """The splits for which no CSV is given."""
        given = self.aggregated_csv.keys() | self.subset_csv.keys()
        return [split for split in self.recipe.splits if split not in given]

    def with_tuning_of(self, home: FactoryHome) -> Self:
        """Return the build with the settings of the home's `build.yaml` that have no command line option.

        Raises:
            RecipeError: as `load`.
        """
        kept = self.load(home)
        names = ("catalog_patience_s", "bytes_in_flight", "max_lost_share")
        tuning = {name: getattr(kept, name) for name in names}
        return self.model_copy(update=tuning)

    def save(self, home: FactoryHome) -> None:
        """Make this the build that the home works on."""
        write_settings(home.build_file, yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))

    @classmethod
    def load(cls, home: FactoryHome) -> Self:
        """The build that the home works on; a new home builds from its granule inbox alone.

        Raises:
            RecipeError: `build.yaml` is not YAML or holds values that are not allowed; all are named.
        """
        if not home.build_file.exists():
            return cls(
                granules=str(home.granule_inbox),
                granule_inbox=home.granule_inbox,
                output=home.default_output,
            )
        try:
            document = read_yaml(home.build_file, f"The file with the build settings {home.build_file}")
        except DocumentError as error:
            raise RecipeError(str(error)) from error
        try:
            kept = cls.model_validate(document)
        except ValidationError as error:
            problems = problems_of(error, cls, document)
            raise RecipeError(f"The build settings {home.build_file} are not valid {problems}.") from error
        return kept.model_copy(update={"granule_inbox": home.granule_inbox})
