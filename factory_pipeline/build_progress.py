"""How far a build is, read off the files that its stages write."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from factory_pipeline.gedi.batches import BatchPlan
from factory_pipeline.settings import BuildSettings

LAYERS = ("sentinel2", "copdem", "worldcover")
"""The chips that a batch needs before its dataset file is written."""
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
    fraction: float = 0.0
    """How far all footprints are, with those whose batch has passed only some stages."""


def progress_before_plan(stage: str, settings: BuildSettings) -> BuildProgress:
    """How far a build is that has no plan yet."""
    return BuildProgress(stage, len(list(settings.files.footprints.glob("[!.]*.parquet"))))


def progress_of_plan(stage: str, settings: BuildSettings, plan: BatchPlan) -> BuildProgress:
    """How far the batches of a plan are."""
    files, sizes = settings.files, plan.sizes
    done = {key for key in plan.keys if files.batch(key).exists()}
    passed = {
        key: sum(files.chips(key, layer).exists() for layer in LAYERS) for key in plan.keys if key not in done
    }
    footprints = sum(sizes[key] for key in done)
    parts = sum(sizes[key] * layers for key, layers in passed.items()) / (len(LAYERS) + 1)
    return BuildProgress(
        stage,
        done=footprints,
        total=plan.footprints,
        batches_done=len(done),
        batches_begun=sum(layers > 0 for layers in passed.values()),
        batches=len(plan.keys),
        fraction=(footprints + parts) / max(plan.footprints, 1),
    )


@contextmanager
def telling(tell: Callable[[], None]) -> Iterator[None]:
    """Tell at once and then now and then, from a thread of its own, while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            tell()

    tell()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
