"""Aligners that are functions of other packages."""

import sys
from pathlib import Path

import pytest

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.aligners.python_function import PythonFunction, ReferenceAligner


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "own_aligner_of_a_test.py"
    path.write_text("value = 3\n\n\ndef align(*_):\n    return None\n\n\nclass Holder:\n    inner = align\n")
    monkeypatch.syspath_prepend(tmp_path)
    # One that an earlier test imported is in another folder.
    monkeypatch.delitem(sys.modules, path.stem, raising=False)
    return path


def test_the_identity_changes_with_the_module(package: Path) -> None:
    aligner = PythonFunction("own_aligner_of_a_test:align")
    before = aligner.identity()
    assert before.startswith("own_aligner_of_a_test:align ")
    package.write_text("def align(*_):\n    return 1\n")
    assert aligner.identity() != before


def test_a_function_may_be_an_attribute(package: Path) -> None:
    assert package.exists()
    assert callable(PythonFunction("own_aligner_of_a_test:align").load("cpu"))
    assert callable(PythonFunction("own_aligner_of_a_test:Holder.inner").load("cpu"))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("own_aligner_of_a_test:value", "value is not a function"),
        ("own_aligner_of_a_test:missing", "has no attribute 'missing'"),
        ("no_such_module_here:align", "No module named 'no_such_module_here'"),
    ],
)
def test_what_can_not_be_imported_is_named(package: Path, reference: str, message: str) -> None:
    assert package.exists()
    with pytest.raises(AlignerError, match=f"The aligner {reference} can't be imported: .*{message}"):
        PythonFunction(reference).load("cpu")


def test_a_missing_module_has_no_identity() -> None:
    with pytest.raises(AlignerError, match="there is no such module"):
        PythonFunction("no_such_module_here:align").identity()
    with pytest.raises(AlignerError, match="No module named 'no_such_package'"):
        PythonFunction("no_such_package.module:align").identity()


def test_the_reference_aligner_is_identified_by_its_code() -> None:
    name, *digests = ReferenceAligner().identity().split()
    assert name == "reference"
    assert [len(digest) for digest in digests] == [64, 64]
