"""Aligners in files of PyTorch; PyTorch is an extra that the tests do not need."""

import numpy as np
import pytest

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.aligners.torch_file import TorchFile

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `fields`")
SHAPE = (16, 24)


class Difference(torch.nn.Module):
    """A residual that tells its inputs apart."""

    def forward(self, src, tgt, previous):
        return torch.cat([src - tgt, src + tgt], dim=1) + 10 * previous


class Pair(torch.nn.Module):
    """Not a field."""

    def forward(self, src, tgt, previous):
        return torch.cat([src, tgt], dim=1).sum() + previous.sum()


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    return [random.random(shape).astype(np.float32) for shape in (SHAPE, SHAPE)]


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_a_file_is_called_with_the_pair_and_the_previous_field(tmp_path, pair, suffix):
    path = tmp_path / f"aligner{suffix}"
    example = (torch.zeros(1, 1, *SHAPE), torch.zeros(1, 1, *SHAPE), torch.zeros(1, 2, *SHAPE))
    if suffix == ".pt2":
        torch.export.save(torch.export.export(Difference(), example), path)
    else:
        torch.jit.save(torch.jit.trace(Difference(), example), str(path))
    previous = np.zeros((2, *SHAPE), np.float32)
    previous[1] = 0.25
    found = TorchFile(path).load("cpu")(*pair, previous, 3)
    src, tgt = pair
    # A constant previous field is added as it is, wherever the residual leads.
    np.testing.assert_allclose(found, np.stack([src - tgt, src + tgt + 2.5]) + previous, rtol=1e-5)


def test_what_is_not_a_field_is_told(tmp_path, pair):
    path = tmp_path / "aligner.pt"
    torch.jit.script(Pair()).save(str(path))
    with pytest.raises(AlignerError, match=r"returned \(\); a tensor of shape \(1, 2, 16, 24\) is needed"):
        TorchFile(path).load("cpu")(*pair, np.zeros((2, *SHAPE), np.float32), 3)


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_another_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"aligner{suffix}"
    path.write_text("not a model")
    with pytest.raises(AlignerError, match=r"can't be read: .* TorchScript file"):
        TorchFile(path).load("cpu")
