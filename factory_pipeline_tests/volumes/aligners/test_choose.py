"""What a user may name as an aligner."""

import pickle

import pytest

from factory_pipeline.errors import AlignerError, MissingExtraError
from factory_pipeline.volumes.aligners.choose import choose_aligner
from factory_pipeline.volumes.aligners.metroem_pyramid import PyramidModule
from factory_pipeline.volumes.aligners.python_function import PythonFunction, ReferenceAligner
from factory_pipeline.volumes.aligners.torch_file import TorchFile


def choose(named: object, stage: int = 1, mip: int = 6):
    return choose_aligner(str(named), stage, "test", mip)


def test_the_reference_aligner_is_named_by_its_name():
    source = choose("reference")
    assert isinstance(source, ReferenceAligner)
    assert source.identity() == choose("reference").identity()
    assert not source.uses_torch


def test_a_python_function_is_named_as_an_entry_point_names_it():
    source = choose("factory_pipeline.volumes.aligners.reference:align")
    assert isinstance(source, PythonFunction)
    assert source.load("cpu") is not None
    assert source.identity().startswith("factory_pipeline.volumes.aligners.reference:align ")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("absent_package.module:function", "absent_package"),
        ("factory_pipeline.errors:absent", "absent"),
        ("factory_pipeline.errors:ONBOARDING_CODES", "is not a function"),
    ],
)
def test_a_function_that_can_not_be_imported_is_told(named, message):
    with pytest.raises(AlignerError, match=f"{named} can't be imported: .*{message}"):
        choose(named).load("cpu")


def test_a_file_is_one_of_pytorch(tmp_path):
    path = tmp_path / "aligner.pt"
    path.write_bytes(b"weights")
    source = choose(path)
    assert source == TorchFile(path)
    before = source.identity()
    path.write_bytes(b"other weights")
    assert source.identity() != before


def test_a_module_of_a_pyramid_is_found_by_stage_and_mip(tmp_path):
    folder = tmp_path / "1_mip6in_coarse"
    folder.mkdir()
    (tmp_path / "2_mip4in_fine").mkdir()
    with pytest.raises(AlignerError, match=r"1_mip6in_coarse has no file model_spec.json"):
        choose(tmp_path)
    (folder / "model_spec.json").write_text("{}")
    with pytest.raises(AlignerError, match=r"1_mip6in_coarse has no file test.state.pth.tar"):
        choose(tmp_path)
    (folder / "test.state.pth.tar").write_bytes(b"weights")
    assert choose(tmp_path) == PyramidModule(folder, "test")
    with pytest.raises(AlignerError, match="is for images of MIP 6, and these are of MIP 5"):
        choose(tmp_path, mip=5)
    with pytest.raises(
        AlignerError, match="one module of stage 3, a folder named 3_mip6in_NAME; it has 1_mip6"
    ):
        choose(tmp_path, stage=3)


@pytest.mark.parametrize("named", ["absent.pt", "package", "package:", ":function", "http://host/aligner.pt"])
def test_whatever_else_is_named_is_refused_with_what_is_allowed(named):
    with pytest.raises(
        AlignerError, match=f"There is no aligner {named}; allowed are reference, a TorchScript"
    ):
        choose(named)


def test_without_pytorch_the_extra_is_named(tmp_path, monkeypatch):
    path = tmp_path / "aligner.pt"
    path.touch()
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"factory-pipeline\[fields\]") as raised:
        choose(path).load("cpu")
    # As a worker process sends it.
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
