"""How far a build is, read off the files that its stages write."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.builds.chips.layer_progress import read_progress
from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.builds.stage_progress import read_stage
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import LAYERS
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.build_files import BuildFiles

SHARE_OF_TIME = dict(zip(LAYERS, (0.75, 0.1, 0.05), strict=True))
"""Of a batch, by the layer whose chips it needs before its dataset file is written."""
SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is."""

    stage: str
    """What is being done, in the user's words."""
    granules: int = 0
    """Granules that were read."""
    done: int = 0
    """Footprints whose batch is finished."""
    total: int = 0
    """Footprints of the plan; 0 while there is none."""
    batches_done: int = 0
    batches_begun: int = 0
    """Batches that have some of their chips."""
    batches: int = 0
    fraction: float | None = None
    """How far the stage is, 0 to 1; of extraction with batches that have passed only some stages. None where
    it is not measured."""
    unit: str = "footprints"
    """What is counted."""


def progress_before_plan(stage: str, settings: BuildSettings) -> BuildProgress:
    """Return how far a build is that has no plan yet.

    Args:
        stage: in the words of the progress line.
        settings: of the build.
    """
    return BuildProgress(stage, len(list(settings.files.footprints.glob("[!.]*.parquet"))))


def progress_of_plan(stage: str, settings: BuildSettings, plan: PlanKeys) -> BuildProgress:
    """Return how far the batches of a plan are.

    Args:
        stage: in the words of the progress line.
        settings: of the build.
        plan: its batches.
    """
    files, sizes = settings.files, plan.sizes
    # Two listings: to look for the files of each of thousands of batches keeps a core busy.
    finished, begun = _names_in(files.batches), _names_in(files.chips_of_batches)
    done = {key for key in sizes if files.batch(key).name in finished}
    passed = {key: _batch_share(files, key) for key in sizes if key in begun and key not in done}
    footprints = sum(sizes[key] for key in done)
    parts = sum(sizes[key] * share for key, share in passed.items())
    return BuildProgress(
        stage + waiting_for(files),
        done=footprints,
        total=plan.footprints,
        batches_done=len(done),
        batches_begun=sum(share > 0 for share in passed.values()),
        batches=len(sizes),
        fraction=(footprints + parts) / max(plan.footprints, 1),
    )


def progress_of_last_stages(files: BuildFiles, first: str, names: Mapping[str, str]) -> BuildProgress:
    """Return how far the stages are that follow extraction.

    Args:
        files: of the build.
        first: the stage, in the words of the progress line, until one has noted that it is at work.
        names: what the stages are called on the progress line, by the names of their assets.
    """
    stage, fraction = read_stage(files.last_stage) or ("", None)
    return BuildProgress(names.get(stage, first), fraction=fraction)


def _names_in(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def _batch_share(files: BuildFiles, batch: str) -> float:
    """Return how far a batch without a dataset file is, 0 to 1, with the layer that is being read."""
    has = {layer: files.chips(batch, layer).exists() for layer in SHARE_OF_TIME}
    share = sum(SHARE_OF_TIME[layer] for layer, is_there in has.items() if is_there)
    reading = next((layer for layer, is_there in has.items() if not is_there), None)
    return share + (SHARE_OF_TIME[reading] * read_progress(files.progress(batch)) if reading else 0.0)


def note_waiting(files: BuildFiles, host: str, seconds: float) -> None:
    """Note for the progress of a build that a batch waits for a host.

    Args:
        files: of the build.
        host: of the catalog.
        seconds: until it is asked again.
    """
    write_text(files.waiting, json.dumps({"host": host, "until": time.time() + seconds}))


def waiting_for(files: BuildFiles) -> str:
    """Return what the name of a stage ends in while a batch waits for a host; empty while none does."""
    try:
        noted = json.loads(files.waiting.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    waits = time.time() < noted["until"] + SECONDS_BETWEEN_LOOKS
    return f", waiting for {noted['host']}" if waits else ""


class CatalogWait:
    """How long a catalog has been waited for before anything is done, in words."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._began = time.monotonic()
        self._host = ""

    def note(self, host: str, seconds: float) -> None:  # noqa: ARG002 -- as a catalog tells it
        """Note that a host is waited for.

        Args:
            host: of the catalog.
            seconds: until it is asked again.
        """
        self._host = host

    def __str__(self) -> str:
        if not self._host:
            return "Asking the catalog"
        waited = time.monotonic() - self._began
        return f"Waiting for {self._host}, which does not answer ({waited:.0f} of {self._patience_s:g} s)"


@contextmanager
def reporting(report: Callable[[], None]) -> Iterator[None]:
    """Call `report` at once and then now and then, from a thread of its own, while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            report()

    report()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
