"""A thousand small uploads dropped into an inbox at once: how long until each one is a dataset.

`factory ui` runs as a user would run it, with the sensor that watches the inbox. Each upload is an archive
of its own with four small tiles and their masks.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import yaml

from benchmarks.measure import tree_cpu_s
from benchmarks.million_footprints import COMMAND
from benchmarks.onboarding import MANIFEST, made_pairs, write_zip
from benchmarks.report import machine, met, table
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.sdk.test_remote import free_port

UPLOADS = 1_000
TILES, SIDE, BANDS = 4, 64, 3
GOAL_S = 900.0
"""For 1,000 uploads on two cores."""
LOOK_S = 2.0
MOST_S = 4 * GOAL_S


def benchmark(count: int) -> str:
    """The table of so many uploads."""
    with tempfile.TemporaryDirectory() as folder:
        home = FactoryHome(Path(folder) / "home")
        for number in range(count):
            name = f"set-{number:04d}"
            write_zip(home.dropped_archive(name), made_pairs(TILES, SIDE, BANDS, seed=number))
            manifest = MANIFEST | {"dataset_url": f"{name}.zip", "dataset_name": name}
            home.dropped_manifest(name).write_text(yaml.safe_dump(manifest), encoding="utf-8")
        log = Path(folder) / "ui.log"
        began = time.monotonic()
        with log.open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "ui", "--port", str(free_port())],
                env={**os.environ, "FACTORY_HOME": str(home.root)},
                stdout=written,
                stderr=subprocess.STDOUT,
            )
            try:
                first_s = wait_until_done(home, count, process, began)
                cpu_s, seconds = tree_cpu_s(process.pid), time.monotonic() - began
            finally:
                process.terminate()
                process.wait()
    reached = met(seconds <= GOAL_S) if count >= UPLOADS else None
    return table(
        f"{count:,} uploads of {TILES} tiles, dropped at once",
        ("uploads", "minutes", "seconds to the first", "CPU s", "CPU s per upload", "goal 15 minutes"),
        [(count, seconds / 60, first_s, cpu_s, cpu_s / count, reached)],
    )


def wait_until_done(home: FactoryHome, count: int, process: subprocess.Popen[bytes], began: float) -> float:
    """Wait until every upload has succeeded; the seconds until the first one had."""
    first_s, told = 0.0, 0
    while time.monotonic() - began < MOST_S:
        time.sleep(LOOK_S)
        if process.poll() is not None:
            raise SystemExit(f"factory ui ended with {process.returncode}.")
        if not home.registry.exists():
            continue
        with closing(open_registry(home)) as registry:
            uploads = registry.uploads()
        done = [upload for upload in uploads if upload.status is UploadStatus.SUCCEEDED]
        if failed := [upload for upload in uploads if upload.status is UploadStatus.FAILED]:
            raise SystemExit(f"{failed[0].name} failed: {failed[0].reason}")
        first_s = first_s or (time.monotonic() - began if done else 0.0)
        if len(done) >= told + count // 20:
            told = len(done)
            print(f"{told:,} of {count:,} after {time.monotonic() - began:.0f} s", flush=True)
        if len(done) == count:
            return first_s
    raise SystemExit(f"{len(done):,} of {count:,} uploads were done after {MOST_S / 60:.0f} minutes.")


def main() -> None:
    """The command line: print the table, and write it into the README if asked to."""
    from benchmarks.__main__ import README, put

    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_uploads", description=__doc__)
    parser.add_argument("--uploads", type=int, default=UPLOADS, help="how many")
    parser.add_argument(
        "--readme", action="store_true", help="write the table into the README of this folder"
    )
    arguments = parser.parse_args()
    text = benchmark(arguments.uploads)
    print(f"{machine()}\n\n{text}")
    if arguments.readme:
        README.write_text(put(README.read_text(encoding="utf-8"), "many_uploads", text), encoding="utf-8")


if __name__ == "__main__":
    main()
