"""The note of a build's last stages: which one is at work, how far it is, and nothing once it has ended."""

import json
from pathlib import Path

import pytest

from factory_pipeline.builds import stage_progress
from factory_pipeline.builds.stage_progress import StageProgress, read_stage


def test_a_stage_is_noted_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stages" / "last_stage.json"
    assert read_stage(path) is None
    with StageProgress(path, "recipe_collection") as stage:
        assert read_stage(path) == ("recipe_collection", None)
        stage.report(10, 40)
        stage.report(20, 40)
        # The second one comes too soon to be written.
        assert read_stage(path) == ("recipe_collection", 0.25)
        monkeypatch.setattr(stage_progress, "SECONDS_BETWEEN_NOTES", 0)
        stage.report(20, 40)
        assert read_stage(path) == ("recipe_collection", 0.5)
    assert not path.exists()


def test_a_failed_stage_leaves_no_note(tmp_path: Path) -> None:
    with pytest.raises(KeyError), StageProgress(tmp_path / "note", "fused_dataset"):
        raise KeyError
    assert read_stage(tmp_path / "note") is None


def test_a_note_that_can_not_be_written_does_not_end_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with StageProgress(tmp_path / "file" / "note", "fused_dataset") as stage:
        stage.report(1, 2)


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"stage": "fused_dataset"})])
def test_half_a_note_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "note").write_text(text)
    assert read_stage(tmp_path / "note") is None
