"""What a build tells while it runs: on a terminal, in a log, and when it fails."""

import errno
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from rich.text import Text

from factory_pipeline.builds import footprint_stages, progress
from factory_pipeline.builds.chips.layer_progress import CALLS, LayerProgress
from factory_pipeline.builds.gedi.batches import BatchPlan, PlanFacts
from factory_pipeline.builds.progress import (
    BuildProgress,
    note_waiting,
    progress_of_last_stages,
    progress_of_plan,
    reporting,
    waiting_for,
)
from factory_pipeline.builds.stage_progress import StageProgress
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.errors import BuildError
from factory_pipeline.sdk import progress_bar
from factory_pipeline.sdk.progress_bar import BuildLine, ProgressLine
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline_tests.builds.builds import build


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that a test sets."""
    now = [1000.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_a_log_gets_a_line_per_step_and_then_one_now_and_then(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    with ProgressLine() as line:
        for second in range(25):
            line.show("Splitting", second / 25)
            clock(1)
        line.show("Writing the page", 1.0, "the last")
    assert capsys.readouterr().err.splitlines() == [
        "Splitting: 0% after 0 s",
        "Splitting: 40% after 10 s",
        "Splitting: 80% after 20 s",
        "Writing the page: 100% after 25 s, the last",
    ]


def test_counts_in_a_step_do_not_make_a_line_each(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    with ProgressLine() as line:
        for second in range(12):
            line.show(f"Downloading {second / 10:.1f} of 1.2 MB", second / 12)
            clock(1)
    assert capsys.readouterr().err.splitlines() == [
        "Downloading 0.0 of 1.2 MB: 0% after 0 s",
        "Downloading 1.0 of 1.2 MB: 83% after 10 s",
    ]


class OnlyWrites:
    """What some programs put in the place of standard error."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)


def test_standard_error_is_what_the_callers_program_has_there(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, broken = io.StringIO(), open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: PTH123, SIM115
    closed.close()
    narrow, writes = io.TextIOWrapper(kept := io.BytesIO(), encoding="ascii"), OnlyWrites()
    for stream in (None, closed, broken, narrow, writes):
        monkeypatch.setattr("sys.stderr", stream)
        with ProgressLine() as line:
            line.show("Schöner", 0.5)
    assert kept.getvalue() == b"Sch\\xf6ner: 50% after 0 s\n"
    assert writes.text == "Schöner: 50% after 0 s\n"


def test_a_log_says_that_a_build_goes_on_where_no_batch_is_finished(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    with BuildLine() as line:
        line.show_build(BuildProgress("Reading granules"))
        clock(10)
        line.show_build(BuildProgress("Reading granules", granules=1200))
        clock(30)
        for begun in (0, 1, 3):
            told = BuildProgress("Extracting", 0, 0, 4000, 0, begun, 4, begun / 16)
            line.show_build(told)
            clock(20)
    assert capsys.readouterr().err.splitlines() == [
        "Reading granules: after 0 s",
        "Reading granules: after 10 s, 1,200 granules read",
        "Extracting: 0% after 40 s, 0 of 4,000 footprints, 0 of 4 batches",
        "Extracting: 6% after 60 s, 0 of 4,000 footprints, 0 of 4 batches and 1 begun",
        "Extracting: 19% after 80 s, 0 of 4,000 footprints, 0 of 4 batches and 3 begun, about 2 min left",
    ]


def test_a_terminal_has_no_percentage_where_none_is_known() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with ProgressLine(console) as line:
        for fraction, says in ((None, ""), (0.25, "25%"), (None, ""), (1.0, "100%")):
            line.show("Registering", fraction)
            shown = "".join(Text.from_ansi(part).plain for part in _rendered(line))
            assert [word for word in shown.split() if word.endswith("%")] == says.split()


def _rendered(line: ProgressLine) -> list[str]:
    console = Console(width=100, color_system=None)
    assert line._bar is not None
    with console.capture() as captured:
        console.print(line._bar.get_renderable())
    return captured.get().splitlines()


def test_the_stages_after_extraction_are_named_with_what_is_done_of_them(tmp_path: Path) -> None:
    files = BuildFiles(tmp_path)
    names = {"fuse": "Fusing", "collect": "Registering"}
    assert progress_of_last_stages(files, "Fusing", names) == BuildProgress("Fusing")
    with StageProgress(files.last_stage, "collect") as stage:
        assert progress_of_last_stages(files, "Fusing", names) == BuildProgress("Registering")
        stage.report(1, 4)
        assert progress_of_last_stages(files, "Fusing", names) == BuildProgress("Registering", fraction=0.25)
    assert progress_of_last_stages(files, "Fusing", names) == BuildProgress("Fusing")


def test_what_is_slow_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0.01)
    told: list[float] = []
    with reporting(lambda: told.append(time.monotonic())):
        deadline = time.monotonic() + 60
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    ended = len(told)
    time.sleep(0.05)
    assert len(told) == ended >= 3


def test_chips_count_before_their_batch_is_finished(tmp_path: Path) -> None:
    settings = BuildSettings(granules="", output=tmp_path)
    batches = ["train-0"] * 100 + ["train-1"] * 200 + ["train-2"] * 100
    plan = BatchPlan(PlanFacts(("train",)), pl.DataFrame({"batch": batches}))
    for path in (
        settings.files.batch("train-0"),
        settings.files.chips("train-1", "sentinel2"),
        settings.files.chips("train-1", "copdem"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    told = progress_of_plan("Extracting", settings, plan)
    assert (told.done, told.total) == (100, 400)
    assert (told.batches_done, told.batches_begun, told.batches) == (1, 1, 3)
    assert told.fraction == pytest.approx((100 + 200 * 0.85) / 400)
    # It moves while a layer of a batch is read.
    note = settings.files.progress("train-2")
    note.parent.mkdir(parents=True)
    with LayerProgress(note, CALLS["sentinel2"]) as layer:
        layer.report(1.0)
        layer._noted_at = 0.0
        layer.report(0.5)
        later = progress_of_plan("Extracting", settings, plan)
        assert later.fraction == pytest.approx(told.fraction + 100 * 0.75 * (0.1 + 0.9 * 0.5) / 400)
        assert later.batches_begun == 2
    assert not note.exists()
    note.write_text("0.")
    assert progress_of_plan("Extracting", settings, plan).fraction == pytest.approx(told.fraction)


def settings_of(archive: Path, tmp_path: Path) -> BuildSettings:
    return BuildSettings(
        granules=str(archive / "granules"), output=tmp_path / "out", catalog=str(archive), workers=1
    )


def test_an_error_that_nobody_foresaw_is_told_in_the_words_of_the_user(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("this and\n  that")

    monkeypatch.setattr(footprint_stages, "aggregate", broken)
    with pytest.raises(BuildError) as caught:
        build(tmp_path / "home", settings_of(small_archive, tmp_path))
    told = str(caught.value)
    assert told.startswith(
        "Reading the granules failed with an unexpected error (RuntimeError: this and that);"
    )
    assert "gedi_footprints" not in told
    assert "\n" not in told


def test_a_full_disk_is_told_in_one_sentence(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "a.parquet"))

    monkeypatch.setattr(footprint_stages, "aggregate", full)
    with pytest.raises(BuildError) as caught:
        build(tmp_path / "home", settings_of(small_archive, tmp_path))
    assert str(caught.value) == f"{tmp_path / 'a.parquet'} can't be read or written: No space left on device."


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_line_of_a_build_is_one_line_whatever_the_width(width: int) -> None:
    console = Console(width=width, force_terminal=True, file=io.StringIO())
    line = BuildLine(console)
    assert line._bar is not None
    line.show_build(BuildProgress("Extracting chips, waiting for a-catalog", 0, 1234, 56789, 3, 2, 57, 0.4))
    with console.capture() as shown:
        console.print(line._bar.make_tasks_table(line._bar.tasks))
    (told,) = Text.from_ansi(shown.get()).plain.splitlines()
    assert " 40% " in told
    assert width < 80 or told.rstrip().endswith(("0:00:00", "-:--:--"))


def test_the_stage_says_which_host_a_batch_waits_for(tmp_path: Path) -> None:
    files = BuildFiles(tmp_path)
    assert waiting_for(files) == ""
    note_waiting(files, "catalog.example", 60)
    assert waiting_for(files) == ", waiting for catalog.example"
    note_waiting(files, "catalog.example", -60)
    assert waiting_for(files) == ""
