"""One data source asked on the terminal, for an archive that could not be scanned."""

import click
from click.testing import CliRunner

from factory_pipeline.cli.source_prompt import ask_source
from factory_pipeline.onboarding.manifest.sections import DataSource


def asked(*answers: str, suffix: str = "_merged.tif", taken: tuple[str, ...] = ()) -> tuple[DataSource, str]:
    """The data source of these answers, and what the terminal showed."""
    sources = []

    @click.command()
    def ask() -> None:
        sources.append(ask_source(suffix, None, is_only=not taken, taken_tags=taken))

    result = CliRunner().invoke(ask, input="\n".join(answers) + "\n", catch_exceptions=False)
    assert result.exit_code == 0, result.output
    [source] = sources
    return source, result.output


def test_bands_of_no_known_collection_are_named_by_hand() -> None:
    source, shown = asked("", "", "my drone", "2", "Red", "Red", "NIR", "0", "0.5")
    assert (source.modality_tag, source.collection, source.file_suffix) == (
        "image",
        "my drone",
        "_merged.tif",
    )
    assert [(band.index, band.band_name, band.scaling_factor) for band in source.bands] == [
        (0, "Red", 0.5),
        (1, "NIR", 0.5),
    ]
    assert [band.rgb_band for band in source.bands] == ["R", None]
    assert "'Red' is in use; each must be different." in shown
    assert "'0' is not allowed" in shown


def test_channels_that_the_user_says_replace_those_of_the_collection() -> None:
    bands = ("SR_B4", "SR_B5", "ST_B10")
    source, shown = asked("", "", "landsat-c2-l2", "3", *bands, "y", "1", "0", "2", "")
    assert "Band 0" in shown
    assert "SR_B4 (R): " in shown, "filled in from the collection"
    assert [band.rgb_band for band in source.bands] == ["G", "R", "B"]
    assert DataSource.model_validate(source.model_dump()) == source, "fit for a manifest"


def test_channels_of_the_collection_stay_where_the_user_says_none() -> None:
    source, _ = asked("", "", "landsat-c2-l2", "3", "SR_B4", "SR_B5", "ST_B10", "n", "")
    assert [band.rgb_band for band in source.bands] == ["R", None, None]


def test_each_source_has_a_tag_of_its_own_proposed_by_its_suffix() -> None:
    source, shown = asked("S1", "", "", "", "1", "VV", "", suffix="_S2.tif", taken=("S1",))
    assert source.modality_tag == "S2"
    assert "'S1' is in use" in shown
