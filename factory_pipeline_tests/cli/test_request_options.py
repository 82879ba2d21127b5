"""What the options of `factory dataset create` and `update` ask for."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner

from factory_pipeline.cli.request_options import describe_argument_error, request_arguments, request_options
from factory_pipeline.cli.terminal import echo
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.errors import ArgumentError


@click.command()
@request_options
def typed(**options: Any) -> None:
    """Show what is asked for."""
    echo(json.dumps(request_arguments(options)))


def test_a_subset_is_asked_for_by_its_options() -> None:
    plain = json.loads(CliRunner().invoke(typed, []).output)
    assert "subset" not in plain
    words = ["--subset", "60", "--subset-by", "day", "--subset-by", "agbd", "--subset-seed", "7"]
    asked = json.loads(CliRunner().invoke(typed, words).output)
    assert asked["subset"] == {"size": 60, "by": ["day", "agbd"], "seed": 7}
    cover = json.loads(CliRunner().invoke(typed, ["--subset", "5", "--subset-cover", "bands"]).output)
    assert cover["subset"] == {"size": 5, "cover": ["bands"]}


def test_how_a_subset_is_drawn_needs_its_size() -> None:
    done = CliRunner().invoke(typed, ["--subset-by", "day"])
    assert done.exit_code == 2
    assert "--subset-by needs --subset N, the number of items." in done.output


def test_an_error_of_a_subset_names_the_option() -> None:
    shares = {"train": 60, "test": 20, "validation": 20}
    subset = {"size": 5, "by": ["day"], "cover": ["agbd"]}
    with pytest.raises(ArgumentError) as error:
        DatasetRequest.of(dataset_name="d", split_info=shares, labels=[], subset=subset)
    assert describe_argument_error(error.value).startswith("--subset-cover is ")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (
            ["--split-by", "year", "--train", "2019", "--train", "2020", "--test", "2021"],
            {"by": "column", "column": "year", "train": ["2019", "2020"], "test": ["2021"]},
        ),
        (
            ["--split-by", "time", "--train", "2020-01-01/2020-12-31"],
            {"by": "time", "train": ["2020-01-01", "2020-12-31"]},
        ),
        (["--split-by", "fold"], {"by": "given", "column": "fold"}),
    ],
)
def test_time_or_a_property_decides_in_place_of_percentages(words: list[str], asked: object) -> None:
    said = json.loads(CliRunner().invoke(typed, words).output)
    assert (said["split_by"], said["split_info"]) == (asked, {})
    blocks = json.loads(CliRunner().invoke(typed, [*words, "--block-m", "500"]).output)
    assert blocks["split_info"] == {"train": 60, "test": 20, "validation": 20}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--test", "2021"], "--test needs --split-by PROPERTY"),
        (["--split-by", "time", "--test", "2021"], "--test of --split-by time is one span, such as"),
    ],
)
def test_what_is_in_a_split_is_said_as_it_is_meant(words: list[str], said: str) -> None:
    done = CliRunner().invoke(typed, words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
