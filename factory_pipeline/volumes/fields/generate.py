"""Generating the fields of a task: shards in parallel, a process per GPU or CPU core."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from factory_pipeline.errors import AlignerError, PairFileError
from factory_pipeline.extras import extras_named
from factory_pipeline.processors import processor_count
from factory_pipeline.storage.atomic import drop_unfinished, file_lock
from factory_pipeline.volumes.aligners.aligner import Aligner, AlignerSource
from factory_pipeline.volumes.fields.shards import PairRange, divide, is_finished, write_shard
from factory_pipeline.volumes.fields.task import FieldTask
from factory_pipeline.worker_pool import WorkerPool

CPU = ""
"""What a process that has no GPU has as its CUDA_VISIBLE_DEVICES."""

OnShard = Callable[[int, int], object]
"""Is given how many of how many pairs have their fields."""


def generate_fields(
    task: FieldTask, folder: Path, gpus: Sequence[str] | None = None, on_shard: OnShard | None = None
) -> list[Path]:
    """Write the fields of all pairs of a task as shards, `{start}_{stop}.h5`; return their paths in order.

    Shards that exist are left as they are, so a killed run continues. The same task gives the same shards,
    whatever processes work on it. Another run with the same folder is waited for.

    Args:
        task: see `plan_fields`.
        folder: where the shards are, or are written; it has no other HDF5 files.
        gpus: a process for each, which sees it alone. None takes all GPUs for an aligner that PyTorch runs,
            and a process per CPU core where there is none and for other aligners.
        on_shard: is called after each shard.

    Raises:
        AlignerError: the aligner can't be loaded, fails, or returns something else than fields; or a process
            ended unexpectedly.
        PairFileError: images or fields are not finite, or the folder has HDF5 files of another task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ranges = divide(task.pairs)
    with file_lock(folder / ".lock"):
        _refuse_others(folder, ranges)
        missing = [pairs for pairs in ranges if not is_finished(task, folder / pairs.file_name)]
        for pairs in missing:
            drop_unfinished(folder / pairs.file_name)
        if missing:
            _work(task, folder, missing, _processes(task.aligner, gpus)[: len(missing)], on_shard)
    return [folder / pairs.file_name for pairs in ranges]


def generate_shard(task: FieldTask, folder: Path, pairs: PairRange) -> Path:
    """Write one shard in a process of its own; several may be written at the same time.

    For an aligner that PyTorch runs, shards take the GPUs in turn, if there are any.

    Args:
        task: see `plan_fields`.
        folder: see `generate_fields`.
        pairs: one of `divide`.

    Raises:
        AlignerError: see `generate_fields`.
        PairFileError: see `generate_fields`.
    """
    path = folder / pairs.file_name
    folder.mkdir(parents=True, exist_ok=True)
    if not is_finished(task, path):
        drop_unfinished(path)
        gpus = _processes(task.aligner, None)
        turn = divide(task.pairs).index(pairs) % len(gpus)
        _work(task, folder, [pairs], [gpus[turn]], None)
    return path


def _refuse_others(folder: Path, ranges: Sequence[PairRange]) -> None:
    names = {pairs.file_name for pairs in ranges}
    others = sorted(path.name for path in folder.glob("[!.]*.h5") if path.name not in names)
    if others:
        raise PairFileError(
            f"{folder} has files that are not shards of these pairs, such as {others[0]}; name another folder"
            " by --temp_dir, or remove them."
        )


def _processes(aligner: AlignerSource, gpus: Sequence[str] | None) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each process."""
    if gpus:
        return list(gpus)
    cores = [CPU] * processor_count()
    if not aligner.uses_torch:
        return cores
    with WorkerPool(1) as pool:  # PyTorch, once imported, would hold memory in this process.
        return [str(gpu) for gpu in range(pool.submit(_count_gpus).result())] or cores


def _count_gpus() -> int:
    with extras_named():
        import torch
    return int(torch.cuda.device_count())


def _work(
    task: FieldTask,
    folder: Path,
    missing: Sequence[PairRange],
    gpus: Sequence[str],
    on_shard: OnShard | None,
) -> None:
    """Have each process write a shard after the other until none is missing."""
    waiting = list(reversed(missing))
    done = task.pairs - sum(pairs.stop - pairs.start for pairs in missing)
    with ExitStack() as stack:
        running: dict[Future[None], tuple[ProcessPoolExecutor, str, PairRange]] = {}

        def start(pool: ProcessPoolExecutor, gpu: str) -> None:
            if waiting:
                pairs = waiting.pop()
                running[pool.submit(_write, task, gpu, pairs, folder)] = pool, gpu, pairs

        for gpu in gpus:
            start(stack.enter_context(WorkerPool(1)), gpu)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                pool, gpu, pairs = running.pop(future)
                try:
                    future.result()
                except BrokenProcessPool as error:
                    raise AlignerError(
                        f"The process that aligned the pairs {pairs} ended unexpectedly, perhaps for lack of"
                        " memory; the finished shards stay, and the same command continues."
                    ) from error
                done += pairs.stop - pairs.start
                if on_shard:
                    on_shard(done, task.pairs)
                start(pool, gpu)


def _write(task: FieldTask, gpu: str, pairs: PairRange, folder: Path) -> None:
    """Write one shard; runs in a process that has one GPU or none."""
    # Before PyTorch is imported: it reads these once.
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if gpu == CPU:
        os.environ["OMP_NUM_THREADS"] = "1"
    write_shard(task, _load_aligner(task.aligner, gpu), pairs, folder / pairs.file_name)


@lru_cache(maxsize=1)
def _load_aligner(source: AlignerSource, gpu: str) -> Aligner:
    device = "cpu" if gpu == CPU else "cuda"
    if source.uses_torch and device == "cuda":
        with extras_named():
            import torch
        if not torch.cuda.is_available():
            raise AlignerError(f"PyTorch sees no GPU {gpu}; without --gpu the aligner runs on the CPU.")
    return source.load(device)
