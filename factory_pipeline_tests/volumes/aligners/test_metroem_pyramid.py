"""A module of a pyramid is called as metroem's own scripts call it; metroem itself is not installed here."""

import sys
from types import ModuleType

import numpy as np
import pytest

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.aligners.metroem_pyramid import find_module

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `fields`")


class Aligner:
    """What metroem.aligner.Aligner takes and returns: the composed field, not the residual one."""

    def __init__(
        self, model_folder, pass_field, checkpoint_name, finetune, finetune_iter, finetune_lr, finetune_sm
    ):
        self.made_of = (
            model_folder,
            pass_field,
            checkpoint_name,
            finetune,
            finetune_iter,
            finetune_lr,
            finetune_sm,
        )

    def __call__(self, src_img, tgt_img, src_agg_field, train, return_state):
        assert not train
        assert not return_state
        assert src_img.shape == tgt_img.shape == (1, 1, 8, 8)
        return src_agg_field + torch.cat([src_img, tgt_img], dim=1)


@pytest.fixture
def pyramid(tmp_path):
    folder = tmp_path / "1_mip6in_coarse"
    folder.mkdir()
    (folder / "model_spec.json").write_text("{}")
    (folder / "test.state.pth.tar").write_bytes(b"weights")
    return tmp_path


def test_a_module_returns_the_composed_field(pyramid, monkeypatch):
    metroem = ModuleType("metroem.aligner")
    metroem.Aligner = Aligner
    monkeypatch.setitem(sys.modules, "metroem", ModuleType("metroem"))
    monkeypatch.setitem(sys.modules, "metroem.aligner", metroem)
    source = find_module(pyramid, 1, "test", 6)
    src, tgt = np.full((2, 8, 8), [[[1.0]], [[2.0]]], np.float32)
    found = source.load("cpu")(src, tgt, np.full((2, 8, 8), 0.5, np.float32), 6)
    assert (found[0] == 1.5).all()
    assert (found[1] == 2.5).all()


def test_without_metroem_that_is_told(pyramid, monkeypatch):
    monkeypatch.setitem(sys.modules, "metroem", None)
    with pytest.raises(AlignerError, match="1_mip6in_coarse is a module of metroem, which can't be imported"):
        find_module(pyramid, 1, "test", 6).load("cpu")
