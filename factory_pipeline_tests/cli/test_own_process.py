"""A command that was typed imports once and is forked; a process of somebody else is left alone."""

import subprocess
import sys

import pytest

LOOK = """
import gc, sys
from factory_pipeline.cli import main
from factory_pipeline.cli.own_process import import_for_workers, import_runs
from factory_pipeline.fork_server import is_serving

@main.cli.command()
def look():
    import_runs()
    print("factory_pipeline.definitions" in sys.modules, gc.get_freeze_count() > 0, is_serving())
    import_for_workers()
    print(gc.isenabled(), is_serving())

sys.argv = ["factory", "look"]
main.main({given})
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("given", "printed"),
    [("", "True True False\nTrue True\n"), ("['look']", "False False False\nTrue False\n")],
    ids=["typed", "called"],
)
def test_only_the_process_of_a_command_is_prepared_and_forked(given: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK.replace("{given}", given)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (printed, "")
