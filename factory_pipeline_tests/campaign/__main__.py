"""Faults in the middle of work, drawn at random; the same work again; and what is there at the end.

Prints a table of the kinds of faults by kinds of work: how many trials ended with all there, nothing twice,
no temporary files, the same bytes as undisturbed work, and a clear sentence while the fault lasted; and how
many did not. A trial that failed is named by its seed: `--faults 1 --seed SEED` does it again.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from factory_pipeline.synthetic.archive import make_archive
from factory_pipeline_tests.campaign.commands import CommandServer
from factory_pipeline_tests.campaign.faults import KINDS, OF_SERVER, draw
from factory_pipeline_tests.campaign.trial import ROOM, Bench
from factory_pipeline_tests.campaign.works import WORKS, Work
from factory_pipeline_tests.postgres import postgres_server
from factory_pipeline_tests.small_disk import mount_small_disk
from factory_pipeline_tests.synthetic.small import SMALL_PLAN

Table = Counter[tuple[str, str, bool]]
"""Trials by kind of fault, name of the work, and whether they passed."""


def main() -> int:
    """Try faults, print the table; return 1 if a trial failed."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--faults", type=int, default=100, help="how many trials")
    options.add_argument("--seed", type=int, default=0, help="of the first trial; the next has the next one")
    options.add_argument("--only", metavar="KIND", action="append", choices=KINDS, help=", ".join(KINDS))
    options.add_argument("--work", action="append", choices=[work.name for work in WORKS])
    options.add_argument("--archive", type=Path, help="a sample archive; one is made if it is left out")
    options.add_argument("--json", action="store_true", help="print JSON in place of the table")
    asked = options.parse_args()
    # An end by SIGTERM unmounts the disk and stops the database too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Where it is set, each process that a build starts compiles the whole package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    works = [work for work in WORKS if not asked.work or work.name in asked.work]
    with (
        tempfile.TemporaryDirectory(prefix="campaign-") as folder,
        bench_in(Path(folder), asked.archive) as bench,
    ):
        table, failed = try_all(
            bench, range(asked.seed, asked.seed + asked.faults), asked.only or KINDS, works
        )
    if asked.json:
        trials = [
            {
                "fault": kind,
                "work": work,
                "passed": table[kind, work, True],
                "failed": table[kind, work, False],
            }
            for kind, work in sorted({(kind, work) for kind, work, _ in table})
        ]
        print(json.dumps({"trials": trials, "failed": failed}, indent=1))
    else:
        print(shown(table))
        for seed, wrong in failed.items():
            print(f"\nseed {seed}: " + "\n  ".join(wrong))
    return 1 if failed else 0


@contextmanager
def bench_in(root: Path, archive: Path | None = None) -> Iterator[Bench]:
    """Have what trials need, in an empty folder.

    Args:
        root: the folder.
        archive: a sample archive; None makes one.
    """
    if archive is None:
        archive = root / "archive"
        make_archive(archive, plan=SMALL_PLAN, workers=1)
    place = root / "place"
    place.mkdir()
    with ExitStack() as stack:
        stack.enter_context(mount_small_disk(place, ROOM))
        postgres = stack.enter_context(postgres_server())
        yield Bench(root, archive, stack.enter_context(CommandServer()), postgres)


def try_all(
    bench: Bench, seeds: Sequence[int], kinds: Sequence[str], works: Sequence[Work]
) -> tuple[Table, dict[int, list[str]]]:
    """Do a trial for each seed.

    Returns:
        The counts, and by seed what was wrong.
    """
    table: Table = Counter()
    failed: dict[int, list[str]] = {}
    for seed in seeds:
        random = Random(seed)
        kind = random.choice(kinds)
        work = random.choice([work for work in works if kind not in OF_SERVER or work.reads_server])
        fault = draw(kind, random)
        began = time.monotonic()
        wrong = bench.try_(work, fault, random)
        table[kind, work.name, not wrong] += 1
        if wrong:
            failed[seed] = [f"{work.name}, {fault}", *wrong]
        told = "\n  ".join(["failed", str(fault), *wrong] if wrong else ["passed"])
        print(f"seed {seed}, {time.monotonic() - began:.0f} s: {kind}, {work.name}: {told}", file=sys.stderr)
    return table, failed


def shown(table: Table) -> str:
    """Return the table in Markdown: trials that passed, and after a slash those that failed."""
    names = [work.name for work in WORKS if any(work.name == name for _, name, _ in table)]
    lines = [["", *names, "all"]]
    for kind in KINDS:
        row = [(table[kind, name, True], table[kind, name, False]) for name in names]
        if any(map(any, row)):
            row.append((sum(good for good, _ in row), sum(bad for _, bad in row)))
            lines.append([kind, *(f"{good} / {bad}" if good or bad else "" for good, bad in row)])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
