"""The command line as a whole: its help, its names, what errors look like."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import polars as pl
import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from factory_pipeline import DatasetClient
from factory_pipeline.builds.verification.report import VerificationReport, VerifiedSubject
from factory_pipeline.cli.demo import next_steps
from factory_pipeline.cli.json_output import echo_json
from factory_pipeline.cli.main import OLD_NAMES, SECTIONS, cli, main
from factory_pipeline.cli.request_options import describe_argument_error
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.datalake.registry.records import AnnotationSource, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import annotation_frame, write_annotations
from factory_pipeline.datalake.tables.schemas import MANIFEST_SCHEMA
from factory_pipeline.datasets.versions.manifest import write_manifest
from factory_pipeline.errors import ArgumentError, HomeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home
from factory_pipeline_tests.builds.builds import FACTORY


def commands_of(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command that is no group, by its names."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands_of(command, (*path, name))
        else:
            found[" ".join((*path, name))] = command
    return found


def test_help_has_a_full_line_for_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "60"}).output
    assert "..." not in shown.replace("[ARGS]...", "")
    lines = shown.splitlines()
    for name in commands_of(cli):
        assert any(line.startswith(f"  {name} ") for line in lines), name
    for title, _ in SECTIONS:
        assert f"{title}:" in lines


@pytest.mark.parametrize("old", OLD_NAMES)
def test_old_names_still_work_and_are_not_shown(old: str) -> None:
    shown = CliRunner().invoke(cli, [old, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"Usage: cli {old} " in shown.output
    assert f"\n  {old} " not in CliRunner().invoke(cli, ["--help"]).output


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option: str) -> None:
    assert CliRunner().invoke(cli, [option]).output.startswith("factory, version ")


@pytest.mark.integration
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_command_that_the_shell_calls(shell: str) -> None:
    printed = CliRunner().invoke(cli, ["completion", shell])
    assert printed.exit_code == 0
    assert "_FACTORY_COMPLETE" in printed.output


@pytest.mark.integration
def test_completion_completes_commands() -> None:
    words = {"_FACTORY_COMPLETE": "bash_complete", "COMP_WORDS": "factory upload l", "COMP_CWORD": "2"}
    completed = subprocess.run(
        [FACTORY], env=words, capture_output=True, text=True, timeout=120, check=False
    ).stdout.splitlines()
    assert completed == ["plain,list", "plain,logs"]


READING = [
    ["upload", "list"],
    ["upload", "list", "--json"],
    ["upload", "show", "a"],
    ["upload", "logs", "a"],
    ["upload", "delete", "a", "--yes"],
    ["finetune", "a"],
    ["collection", "list"],
    ["collection", "delete", "a", "--yes"],
    ["dataset", "list"],
    ["dataset", "show", "a"],
    ["dataset", "diff", "a", "b"],
    ["dataset", "download", "a", "RAW"],
    ["dataset", "delete", "a", "--yes"],
    ["dataset", "create", "A", "--label", "a"],
]


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The only line that a failing command prints, which must be on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    line, end, rest = printed.err.partition("\n")
    assert (end, rest) == ("\n", "")
    return line


def test_the_demo_ends_with_the_home_that_other_commands_need(tmp_path: Path) -> None:
    home, look, inspect = next_steps(tmp_path / "my demo", tmp_path / "train_dataset.h5")
    assert home.endswith(f"export FACTORY_HOME='{tmp_path}/my demo'")
    assert "factory ui" in look
    assert "factory inspect" in inspect


@pytest.mark.parametrize(("differences", "status"), [((), 0), (("train.h5 is missing.",), 1)])
def test_what_a_command_exits_with_is_the_status_of_the_program(
    differences: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = VerificationReport("a", "export", "exports", 1, [VerifiedSubject("a", differences)])
    monkeypatch.setattr("factory_pipeline.cli.verify._verify_target", lambda *_: report)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "a"])
    assert ended.value.code == status


@pytest.mark.integration  # loads Dagster, which starts a process
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_makes_no_home_and_says_where_it_looked(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FACTORY_HOME", raising=False)
    said = error_of(arguments, capsys)
    assert said.startswith(f"Error: The factory home {tmp_path / 'factory_home'} does not exist: ")
    assert not list(tmp_path.iterdir())


SLOW = {
    *("PIL", "alembic", "dagster", "fsspec", "h5py", "matplotlib", "numpy", "obstore", "pyarrow", "pyproj"),
    *("rasterio", "requests", "rich", "scipy", "shapely", "yaml"),
}
"""What lists import none of: each takes as long to import as listing does."""


@pytest.fixture
def small_home(tmp_path: Path) -> FactoryHome:
    """A home with a collection that has annotations, and a version of a dataset."""
    home, none = FactoryHome(tmp_path), pl.DataFrame(schema=MANIFEST_SCHEMA)
    table = tmp_path / "annotations.parquet"
    write_annotations(table, annotation_frame([]))
    with closing(Registry.open(home.registry)) as registry:
        fields = {"items_path": "items.parquet", "item_count": 0, "content_hash": "0"}
        collection = registry.add_collection("Ponds", CollectionSource.UPLOAD, **fields)
        registry.add_operation(collection.id, AnnotationSource.HUMAN, path=relative_to_home(table, home))
        with registry.create_dataset("Waters", {}) as version:
            manifest = home.version(version.id).manifest
            header = write_manifest(manifest, [none], ("pond",), [])
            registry.finish_version(
                version.id,
                manifest_path=relative_to_home(manifest, home),
                content_hash=header.content_hash,
            )
    return home


@pytest.mark.integration
def test_lists_and_help_load_nothing_that_they_do_not_use(small_home: FactoryHome) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from factory_pipeline.cli.main import cli\n"
        "def shown(*words, without):\n"
        "    ended = CliRunner().invoke(cli, words)\n"
        "    assert ended.exit_code == 0, ended.output\n"
        f"    loaded = {sorted(SLOW)!r} + without\n"
        "    assert not set(loaded) & set(sys.modules), (words, set(loaded) & set(sys.modules))\n"
        "    return ended.output\n"
        "shown('--help', without=['polars', 'sqlalchemy', 'pydantic', 'asyncio'])\n"
        "shown('upload', 'list', without=['polars', 'pydantic'])\n"
        "assert 'pond' in shown('dataset', 'list', '--json', without=[])\n"
        "assert 'Ponds' in shown('collection', 'list', without=[])\n"
        "assert 'damaged' not in shown('collection', 'list', '--json', without=[])\n"
    )
    variables = {**os.environ, "FACTORY_HOME": str(small_home.root)}
    subprocess.run([sys.executable, "-c", code], env=variables, check=True, timeout=120)


@pytest.mark.integration  # loads Dagster, which starts a process
def test_a_client_of_a_home_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    client = DatasetClient(home=tmp_path / "typo")
    for call in (client.list_datasets, client.collections, lambda: client.describe_version("a")):
        with pytest.raises(HomeError, match=r"The factory home .*typo does not exist"):
            call()
    with pytest.raises(HomeError):
        client.create_dataset_from_datalake("A", {"train": 100, "test": 0, "validation": 0}, ["a"])
    assert not list(tmp_path.iterdir())


@pytest.mark.integration  # loads Dagster, which starts a process
@pytest.mark.parametrize(
    "arguments",
    [
        *READING,
        ["ui", "--port", "64999"],
        ["onboard", "a.yaml"],
        ["create-dataset", "--input", ".", "--output", "out"],
    ],
    ids=" ".join,
)
def test_a_home_that_is_a_file_is_one_sentence(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.write_text("a file")
    monkeypatch.setenv("FACTORY_HOME", str(home))
    assert error_of(arguments, capsys).startswith(f"Error: The factory home {home} is not a folder; ")


@pytest.mark.integration
def test_a_home_that_cannot_be_made_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACTORY_HOME", "/proc/home")
    said = error_of(["ui", "--port", "64999"], capsys)
    assert said.startswith("Error: /proc/home")
    assert "can't be read or written: " in said


@pytest.mark.integration  # loads Dagster, which starts a process
def test_an_error_that_nobody_expected_is_one_sentence_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: FactoryHome) -> None:
        raise RuntimeError("a fault\nin the program")

    monkeypatch.setattr(FactoryHome, "require_existing", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = error_of(["upload", "list"], capsys)
    [log] = tmp_path.iterdir()
    assert said.startswith("Error: unexpected error: RuntimeError: a fault in the program; ")
    assert str(log) in said
    assert "Traceback" in log.read_text()


@pytest.mark.integration  # loads Dagster, which starts a process
def test_an_unexpected_error_whose_log_cannot_be_written_is_one_sentence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: FactoryHome) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(FactoryHome, "require_existing", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    said = error_of(["upload", "list"], capsys)
    assert said.startswith("Error: unexpected error: RuntimeError: a fault; its log could not be written")
    assert "Traceback" not in said


@pytest.mark.integration  # loads Dagster, which starts a process
@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("database or disk is full", "no space left on the disk"),
        ("attempt to write a readonly database", "its file or its folder is read-only"),
        ("disk I/O error", "its disk is full, damaged or away"),
    ],
)
def test_what_the_disk_refuses_a_database_is_one_sentence(
    told: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: FactoryHome) -> None:
        raise OperationalError("INSERT INTO runs", {}, sqlite3.OperationalError(told))

    monkeypatch.setattr(FactoryHome, "require_existing", fail)
    said = error_of(["upload", "list"], capsys)
    assert sentence in said
    assert "INSERT" not in said


@pytest.mark.integration
def test_output_that_nobody_reads_any_more_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "inbox" / "uploads").mkdir(parents=True)
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [FACTORY, "upload", "list", "--json"],
        env={**os.environ, "FACTORY_HOME": str(tmp_path)},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(writing)
    assert ended.stderr == ""


@pytest.mark.integration  # loads Dagster, which starts a process
@pytest.mark.parametrize("folder", ["nosuch", "empty"])
def test_granules_are_looked_for_before_the_settings_of_the_home_are_replaced(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    home = FactoryHome(tmp_path / "home")
    BuildSettings(granules="/good", output=tmp_path / "good").save(home)
    before = home.build_file.read_bytes()
    monkeypatch.setenv("FACTORY_HOME", str(home.root))
    granules = tmp_path / folder
    said = error_of(["create-dataset", "--input", str(granules), "--output", str(tmp_path / "out")], capsys)
    assert str(granules) in said
    assert home.build_file.read_bytes() == before
    assert not (tmp_path / "out").exists()
    assert not home.dagster.exists()


def test_json_has_no_nan_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"a": float("nan"), "b": Path("x\x9b\x1b")})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"a": None, "b": "x\x9b\x1b"}
    assert "\x9b" not in printed


@pytest.mark.parametrize(
    ("argument", "typed"),
    [
        ("export_types[0]", "--export"),
        ("export_type", "EXPORT_TYPE"),
        ("split_info.train", "--split.train"),
        ("filter.bbox[2]", "--bbox"),
        ("augmentation_list.IMAGE_LEVEL[1].id", "--augment.IMAGE_LEVEL[1].id"),
        ("version_id", "VERSION_ID"),
        ("home", "home"),
    ],
)
def test_messages_name_what_was_typed(argument: str, typed: str) -> None:
    error = ArgumentError(argument, "x", "it must be y")
    assert describe_argument_error(error) == f"{typed} is 'x'; it must be y."
