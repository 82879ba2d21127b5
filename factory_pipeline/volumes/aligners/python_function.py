"""Aligners that are functions of Python: the reference aligner, and those of other packages."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.errors import AlignerError
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.volumes.aligners import phase_correlation, reference
from factory_pipeline.volumes.aligners.aligner import Aligner, compose_with_previous


@dataclass(frozen=True)
class ReferenceAligner:
    """Block matching by phase correlation."""

    uses_torch: bool = False

    def identity(self) -> str:
        """Return a text that changes with the modules that it is made of."""
        made_of = [sha256_of(Path(str(module.__file__))) for module in (reference, phase_correlation)]
        return "reference " + " ".join(made_of)

    def load(self, device: str) -> Aligner:
        """Return the aligner; it runs on the CPU."""
        del device
        return compose_with_previous(reference.align, "reference")


@dataclass(frozen=True)
class PythonFunction:
    """A function of another package, as an entry point names it: `package.module:function`.

    It is called as a `ResidualFunction`. A process of a GPU has `CUDA_VISIBLE_DEVICES` set to it.
    """

    reference: str
    uses_torch: bool = False

    def identity(self) -> str:
        """Return its name and the checksum of the module that it is in."""
        module = self.reference.partition(":")[0]
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError) as error:
            raise self._error(error) from error
        if spec is None:
            raise self._error("there is no such module")
        origin = Path(spec.origin or "")
        return f"{self.reference} {sha256_of(origin) if origin.is_file() else ''}"

    def load(self, device: str) -> Aligner:
        """Import the function."""
        del device
        module, _, name = self.reference.partition(":")
        try:
            function = importlib.import_module(module)
            for attribute in name.split("."):
                function = getattr(function, attribute)
        except (ImportError, AttributeError) as error:
            raise self._error(error) from error
        if not callable(function):
            raise self._error(f"{name} is not a function")
        return compose_with_previous(function, self.reference)

    def _error(self, reason: object) -> AlignerError:
        return AlignerError(f"The aligner {self.reference} can't be imported: {reason}.")
