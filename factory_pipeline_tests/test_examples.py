"""The notebooks in examples/ run from top to bottom, as somebody runs them after an install."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def test_the_notebooks_run_in_their_order(
    small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test for all: the third one reads what the first one has built."""
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3"]
    (tmp_path / "sample").symlink_to(small_archive)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.delenv("FACTORY_HOME", raising=False)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(
            notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
    assert (tmp_path / "output" / "train_dataset.h5").exists()
    assert list((tmp_path / "factory_home" / "datasets" / "fields").glob("*/dataset.html"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_not_kept(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs"), f"strip the outputs of {path.name}"
        assert cell.get("execution_count") is None, f"strip the outputs of {path.name}"
