"""From what a user names as an aligner to its source."""

from pathlib import Path

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.aligners.aligner import AlignerSource
from factory_pipeline.volumes.aligners.metroem_pyramid import find_module
from factory_pipeline.volumes.aligners.python_function import PythonFunction, ReferenceAligner
from factory_pipeline.volumes.aligners.torch_file import TorchFile

REFERENCE = "reference"
"""What the aligner that this package ships is named by."""
ALLOWED = (
    f"{REFERENCE}, a TorchScript file (.pt), an exported program of PyTorch (.pt2), a pyramid folder of"
    " metroem, or a Python function as package.module:function"
)


def choose_aligner(named: str, stage: int, checkpoint: str, mip: int) -> AlignerSource:
    """Return the source of the aligner that a user names.

    Args:
        named: one of `ALLOWED`.
        stage: which module of a pyramid folder.
        checkpoint: name of the weights in the module's folder.
        mip: of the images; a module of a pyramid is for one mip.

    Raises:
        AlignerError: there is no such aligner.
    """
    path = Path(named).expanduser()
    if path.is_dir():
        return find_module(path.absolute(), stage, checkpoint, mip)
    if path.is_file():
        return TorchFile(path.absolute())
    if named == REFERENCE:
        return ReferenceAligner()
    module, colon, function = named.partition(":")
    if colon and all(part.isidentifier() for part in f"{module}.{function}".split(".")):
        return PythonFunction(named)
    raise AlignerError(f"There is no aligner {named}; allowed are {ALLOWED}.")
