"""A Dagster daemon for the time of a command: sensors tick and runs start by themselves, as in production."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.errors import BuildError
from factory_pipeline.runs.instance import environment_of, prepare_home
from factory_pipeline.runs.with_parent import command_with_parent
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.layout import FactoryHome

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_END = 30.0
ENDED = (UploadStatus.SUCCEEDED, UploadStatus.FAILED)


@contextmanager
def running_daemon(home: FactoryHome) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the daemon of a home while the block runs; its output is written to `daemon.log` in the home."""
    prepare_home(home)
    with home.daemon_log.open("ab") as log:
        daemon = subprocess.Popen(
            command_with_parent("dagster._daemon", ["run", "-m", "factory_pipeline.definitions"]),
            env={**os.environ, **environment_of(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield daemon
        finally:
            daemon.terminate()
            try:
                daemon.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def drop_uploads(folder: Path, home: FactoryHome) -> list[str]:
    """Copy the archives and manifests of a folder into the inbox; return the names of the manifests.

    Args:
        folder: its `.yaml` files are manifests, all others archives.
        home: whose inbox receives them; a file of the same name is replaced.
    """
    manifests = sorted(folder.glob("*.yaml"))
    archives = sorted(path for path in folder.iterdir() if path.suffix != ".yaml")
    # The archives first, so that no manifest waits for what is not there yet.
    for path in [*archives, *manifests]:
        with atomic_write(home.upload_inbox / path.name) as temporary:
            shutil.copyfile(path, temporary)
    return [path.stem for path in manifests]


def wait_for_uploads(
    home: FactoryHome,
    names: Sequence[str],
    daemon: "subprocess.Popen[bytes]",
    seconds: float,
    on_change: Callable[[Upload], None],
) -> list[Upload]:
    """Wait until the uploads of these names are onboarded or have failed, and report each change.

    Args:
        home: whose registry is read.
        names: of the uploads, as `drop_uploads` returns them.
        daemon: the process that onboards them.
        seconds: the longest wait.
        on_change: called with the upload whenever its status has changed.

    Returns:
        The uploads of these names, each of them ended.

    Raises:
        BuildError: the daemon ended, or it took longer than `seconds`.
    """
    told: dict[str, UploadStatus] = {}
    until = time.monotonic() + seconds
    with closing(open_registry(home)) as registry:
        while True:
            uploads = [upload for upload in registry.uploads() if upload.name in names]
            for upload in uploads:
                if told.get(upload.key) is not upload.status:
                    told[upload.key] = upload.status
                    on_change(upload)
            if {upload.name for upload in uploads if upload.status in ENDED} >= set(names):
                return uploads
            if daemon.poll() is not None or time.monotonic() > until:
                raise BuildError(
                    f"The uploads were not onboarded; {home.daemon_log} has the daemon's output."
                )
            time.sleep(SECONDS_BETWEEN_LOOKS)
