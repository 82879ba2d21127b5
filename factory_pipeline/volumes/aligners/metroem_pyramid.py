"""Aligners in a pyramid folder of metroem, where metroem is installed.

A pyramid folder has a folder per module, `<stage>_mip<m>in_<name>`, with `model_spec.json` and the weights of
each checkpoint, `<checkpoint>.state.pth.tar`.
"""

import importlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factory_pipeline.errors import AlignerError
from factory_pipeline.extras import extras_named
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.volumes.aligners.aligner import Aligner, Field, Image

MODULE_NAME = re.compile(r"(?P<stage>\d+)_mip(?P<mip>\d+)in_(?P<name>.*)")
SPEC = "model_spec.json"
FINETUNING = {"finetune": True, "finetune_lr": 3e-1, "finetune_sm": 30.0, "finetune_iter": 400}
"""How metroem's own `generate_fields.py` improves a predicted field on its pair."""


@dataclass(frozen=True)
class PyramidModule:
    """One module of a pyramid; it is given the previous field itself and returns the composed field."""

    folder: Path
    checkpoint: str
    uses_torch: bool = True

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return self.folder / f"{self.checkpoint}.state.pth.tar"

    def identity(self) -> str:
        """Return the checksums of its specification and weights."""
        return f"metroem {sha256_of(self.folder / SPEC)} {sha256_of(self.weights)}"

    def load(self, device: str) -> Aligner:
        """Load the module by metroem."""
        with extras_named():
            import torch
        try:
            # By name: what metroem needs is not declared, as it can't be installed everywhere.
            module_type = importlib.import_module("metroem.aligner").Aligner
        except ImportError as error:
            raise AlignerError(
                f"The aligner {self.folder} is a module of metroem, which can't be imported: {error}."
            ) from error
        module = module_type(str(self.folder), pass_field=True, checkpoint_name=self.checkpoint, **FINETUNING)

        def align(src: Image, tgt: Image, previous: Field, mip: int) -> Field:
            del mip
            images = [torch.from_numpy(np.array(image))[None, None].to(device) for image in (src, tgt)]
            field = torch.from_numpy(np.array(previous))[None].to(device)
            found = module(
                src_img=images[0], tgt_img=images[1], src_agg_field=field, train=False, return_state=False
            )
            composed: Field = found[0].detach().float().cpu().numpy()
            return composed

        return align


def find_module(pyramid: Path, stage: int, checkpoint: str, mip: int) -> PyramidModule:
    """Return the module of a stage.

    Args:
        pyramid: the folder.
        stage: its number.
        checkpoint: the name of the file of weights.
        mip: of the images that are aligned.

    Raises:
        AlignerError: the folder has no or several modules of that stage, it is for another mip, or a file of
            it is missing.
    """
    names = [(path, MODULE_NAME.fullmatch(path.name)) for path in sorted(pyramid.iterdir()) if path.is_dir()]
    modules = [(path, match) for path, match in names if match and int(match["stage"]) == stage]
    if len(modules) != 1:
        found = ", ".join(path.name for path, match in names if match) or "none"
        raise AlignerError(
            f"The pyramid folder {pyramid} must have one module of stage {stage}, a folder named"
            f" {stage}_mip{mip}in_NAME; it has {found}."
        )
    folder, match = modules[0]
    if int(match["mip"]) != mip:
        raise AlignerError(
            f"The module {folder.name} is for images of MIP {int(match['mip'])}, and these are of MIP {mip}."
        )
    module = PyramidModule(folder, checkpoint)
    for file in (folder / SPEC, module.weights):
        if not file.is_file():
            raise AlignerError(f"The module {folder.name} has no file {file.name}.")
    return module
