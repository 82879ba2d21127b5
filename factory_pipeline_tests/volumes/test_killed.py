"""A killed run goes on where it stopped, and gives the same bytes."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from factory_pipeline.volumes.pair_dataset import PairSettings, make_dataset
from factory_pipeline_tests.volumes.factories import pair, serve, spec_of, texture, write_volume

pytestmark = pytest.mark.integration

SECTIONS = 12
RUN = """
import json, sys
from factory_pipeline.volumes import extraction
from factory_pipeline.volumes.pair_dataset import PairSettings, make_dataset
extraction.PART_BYTES = 1
make_dataset(json.load(open(sys.argv[1])), __import__("pathlib").Path(sys.argv[2]), PairSettings(parallel=2))
"""


def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory_pipeline.volumes.extraction.PART_BYTES", 1)
    write_volume(tmp_path / "image", {0: texture((16, 16, SECTIONS))})
    answering = threading.Event()
    answering.set()
    with serve(tmp_path) as server:
        pairs = [pair((0, 0, z), (0, 0, z - 1)) for z in range(1, SECTIONS)]
        spec = spec_of(f"{server.url}/image", pairs=pairs)
        (tmp_path / "spec.json").write_text(json.dumps(spec))

        def stop_in_the_middle(path: str, _times: int) -> None:
            if path.endswith("_6-7"):
                answering.clear()
            if not path.endswith("info"):
                answering.wait(60)

        server.refuse = stop_in_the_middle
        out = tmp_path / "out"
        run = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path / "spec.json"), str(out)])
        deadline = time.monotonic() + 60
        while answering.is_set() or not list(out.glob(".*.parts/sections-*.h5")):
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait(30)
        answering.set()
        server.refuse = lambda _path, _times: None
        assert not list(out.glob("*.h5"))
        finished = len(list(out.glob(".*.parts/sections-*.h5")))
        assert 0 < finished < SECTIONS
        server.requests.clear()
        again = make_dataset(spec, out, PairSettings(parallel=3))
        # What was finished is not read again.
        assert len(server.chunks()) == SECTIONS - finished
        at_once = make_dataset(spec, tmp_path / "at_once")
        assert again.pairs == at_once.pairs == SECTIONS - 1
        for one, other in zip(again.paths, at_once.paths, strict=True):
            assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in at_once.paths.images.parent.iterdir()
    )
