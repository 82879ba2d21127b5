"""Every parser of foreign bytes on damaged files: it parses them, or raises an error with a sentence.

More examples are tried by `python -m factory_pipeline_tests.fuzz.campaign`, and such as reach new code by
`python -m factory_pipeline_tests.fuzz.guided`.
"""

import json
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory_pipeline_tests.fuzz.mutations import alter, damage
from factory_pipeline_tests.fuzz.targets import CORPUS, TARGETS

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

EXAMPLES = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""A few, the same in each run, so that the time is too."""


@pytest.fixture
def folders(tmp_path: Path):
    """Empty folders, one after another."""
    return (folder for number in range(10_000) if (folder := tmp_path / str(number)).mkdir() is None)


@pytest.mark.parametrize("name", TARGETS)
@EXAMPLES
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(name: str, folders, seed: int) -> None:
    TARGETS[name].try_with(Random(seed), next(folders))


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_read(name: str, folders) -> None:
    target = TARGETS[name]
    for file in target.files:
        path = next(folders) / file
        path.write_bytes((CORPUS / file).read_bytes())
        target.read(path)


@pytest.mark.integration
@pytest.mark.parametrize("opening", ["[", "{", '{"a":', "- ", "(", "not ", '"'])
def test_what_is_nested_very_deeply_is_refused(opening: str, folders) -> None:
    for target in TARGETS.values():
        for file in target.files:
            if Path(file).suffix not in (".json", ".yaml", ".txt", ".csv"):
                continue
            path = next(folders) / file
            path.write_text(opening * 100_000)
            with suppress(*target.allowed):
                target.read(path)


@pytest.mark.skipif(find_spec("atheris") is None, reason="Atheris has no package for this system.")
def test_what_reaches_new_code_is_kept(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "factory_pipeline_tests.fuzz.guided",
        "label file",
        "--seconds",
        "3",
        "--keep",
        str(tmp_path),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "All was read or refused.\n")
    assert list((tmp_path / "label file" / "label.json").iterdir())


def test_damage_and_alterations_change_something_and_repeat() -> None:
    document = json.loads((CORPUS / "coco.json").read_bytes())
    content = (CORPUS / "archive.zip").read_bytes()
    assert damage(content, Random(1)) == damage(content, Random(1)) != content
    assert json.dumps(alter(document, Random(1))) == json.dumps(alter(document, Random(1)))
    assert alter(document, Random(1)) != document
    assert document == json.loads((CORPUS / "coco.json").read_bytes())
