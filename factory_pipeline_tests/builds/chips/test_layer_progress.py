"""The progress of a layer, as another process reads it from a small file."""

from pathlib import Path

import pytest

from factory_pipeline.builds.chips import layer_progress
from factory_pipeline.builds.chips.layer_progress import CALLS, LayerProgress, read_progress


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_progress, "SECONDS_BETWEEN_NOTES", 0.0)


def test_each_call_counts_by_its_share_and_the_file_is_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "progress" / "sentinel2"
    seen = []
    with LayerProgress(path, (0.1, 0.9)) as progress:
        for fraction in (0.5, 1.0, 0.0, 0.5, 1.0):
            progress.report(fraction)
            seen.append(read_progress(path))
    assert seen == pytest.approx([0.05, 0.1, 0.1, 0.55, 1.0])
    assert not path.exists()


def test_further_calls_add_nothing(tmp_path: Path) -> None:
    with LayerProgress(tmp_path / "copdem", (1.0,)) as progress:
        progress.report(1.0)
        progress.report(0.5)
        assert read_progress(tmp_path / "copdem") == 1


def test_it_is_noted_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_progress, "SECONDS_BETWEEN_NOTES", 3600.0)
    with LayerProgress(tmp_path / "copdem", (1.0,)) as progress:
        progress._noted_at = layer_progress.time.monotonic()
        progress.report(0.5)
        assert not (tmp_path / "copdem").exists()


@pytest.mark.parametrize(("text", "expected"), [("", 0.0), ("0.2x", 0.0), ("7", 1.0), ("-1", 0.0)])
def test_half_a_number_is_passed_over(tmp_path: Path, text: str, expected: float) -> None:
    (tmp_path / "copdem").write_text(text)
    assert read_progress(tmp_path / "copdem") == expected


def test_the_shares_of_a_layer_add_up_to_all_of_it() -> None:
    assert {layer: sum(shares) for layer, shares in CALLS.items()} == pytest.approx(dict.fromkeys(CALLS, 1.0))
