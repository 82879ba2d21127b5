"""Programs that a command starts find the modules that the command finds, wherever it is called."""

import os
import subprocess
from pathlib import Path

from factory_pipeline.runs.with_parent import command_with_parent

PROBE = """
import subprocess, sys
import calendar, numpy
print(sys.argv[0], flush=True)
if sys.argv[1:]:
    subprocess.run([sys.executable, "-m", sys.argv[1]], check=True)
"""


def test_modules_are_not_looked_for_in_the_working_directory(tmp_path: Path) -> None:
    modules, users = tmp_path / "modules", tmp_path / "users"
    for folder in (modules, users):
        folder.mkdir()
    (modules / "probe.py").write_text(PROBE)
    for name in ("calendar.py", "numpy.py", "runpy.py"):
        (users / name).write_text("raise RuntimeError('a file of the user was imported')")
    path = os.pathsep.join(filter(None, [str(modules), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command_with_parent("probe", ["probe"]),
        cwd=users,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
