"""Aligners in files of PyTorch: TorchScript (`.pt`) and exported programs (`.pt2`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factory_pipeline.errors import AlignerError
from factory_pipeline.extras import extras_named
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.volumes.aligners.aligner import Aligner, Field, Image, compose_with_previous

EXPORTED = ".pt2"
"""Suffix of the files of `torch.export.save`; any other file is read as TorchScript."""


@dataclass(frozen=True)
class TorchFile:
    """A module that is called with src and tgt (1, 1, x, y) and the previous field (1, 2, x, y), all float32.

    It returns the residual field (1, 2, x, y) in pixels.
    """

    path: Path
    uses_torch: bool = True

    def identity(self) -> str:
        """Return the checksum of the file."""
        return f"torch {sha256_of(self.path)}"

    def load(self, device: str) -> Aligner:
        """Read the file; the module runs on `device`."""
        with extras_named():
            import torch
        try:
            module = _load(torch, self.path, device)
        except Exception as error:  # of many types, as the file is damaged here or there
            reason = str(error).strip().partition("\n")[0]
            raise AlignerError(
                f"The aligner {self.path} can't be read: {reason}. A TorchScript file (.pt) or an exported"
                f" program ({EXPORTED}) is needed."
            ) from error

        def residual(src: Image, tgt: Image, previous: Field, mip: int) -> Field:
            del mip
            tensors = [
                torch.from_numpy(np.ascontiguousarray(array)).reshape(1, -1, *src.shape).to(device)
                for array in (src, tgt, previous)
            ]
            try:
                with torch.no_grad():
                    found = module(*tensors)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise AlignerError(
                    f"The aligner {self.path} failed on images of {src.shape[0]} x {src.shape[1]} pixels:"
                    f" {reason}."
                ) from error
            if not isinstance(found, torch.Tensor) or found.shape != tensors[2].shape:
                returned = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
                raise AlignerError(
                    f"The aligner {self.path} returned {returned}; a tensor of shape"
                    f" {tuple(tensors[2].shape)} is needed."
                )
            field: Field = found[0].float().cpu().numpy()
            return field

        return compose_with_previous(residual, str(self.path))


def _load(torch: Any, path: Path, device: str) -> Any:
    if path.suffix != EXPORTED:
        return torch.jit.load(str(path), map_location=device).eval()
    program = torch.export.load(path)
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program.module()
