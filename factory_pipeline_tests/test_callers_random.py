"""What is imported draws no number from the caller's generator."""

import subprocess
import sys

import pytest

PROGRAM = """
import random
random.seed(7)
before = random.getstate()
{}
print(random.getstate() == before)
"""
ALONE = "import rich.console"
NAMED = "from factory_pipeline.callers_random import import_drawing_modules as add; add(); add(); " + ALONE
ALL = "from factory_pipeline.runs.instance import load_definitions as add; add(); " + ALONE


@pytest.mark.integration
@pytest.mark.parametrize(("imports", "kept"), [(ALONE, "False"), (NAMED, "True"), (ALL, "True")])
def test_what_draws_a_number_while_it_is_imported_draws_none_of_the_callers(imports: str, kept: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(imports)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == kept
