"""The generator of the module `random`, which a program that calls the SDK may have seeded."""

import importlib
import random
import sys

DRAWING = ("rich.style",)
"""Modules that draw a number from it once, while they are imported."""


def import_drawing_modules() -> None:
    """Import what draws numbers, so that the caller's next one is what it would be without us."""
    for module in DRAWING:
        if module not in sys.modules:
            drawn = random.getstate()
            importlib.import_module(module)
            random.setstate(drawn)
