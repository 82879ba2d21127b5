"""Faults in the middle of work, drawn at random, several one after the other; and what is there at the end.

In a trial work is disturbed four to eight times, and then left to end. Prints a table of the kinds of faults
by kinds of work: how many faults hit work that ended with all there, nothing twice, no temporary files, the
same bytes as undisturbed work, and a clear sentence while the fault lasted; and after how many something was
wrong. A trial that failed is named by its seed: `--faults 1 --seed SEED` does it again.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

from factory_pipeline.synthetic.archive import make_archive
from factory_pipeline_tests.campaign.commands import CommandServer
from factory_pipeline_tests.campaign.faults import DAEMON, DATABASE, KINDS, OF_SERVER, OF_STORE, Fault, draw
from factory_pipeline_tests.campaign.store import faulty_store
from factory_pipeline_tests.campaign.trial import ROOM, Bench
from factory_pipeline_tests.campaign.works import HOME_ON_STORE, WORKS, Work
from factory_pipeline_tests.postgres import postgres_server
from factory_pipeline_tests.small_disk import mount_small_disk
from factory_pipeline_tests.synthetic.small import SMALL_PLAN

Table = Counter[tuple[str, str, bool]]
"""Faults that hit, by kind, name of the work, and whether all was well."""
FEWEST, MOST = 4, 8
"""Faults of a trial."""
OF_DAEMON = 2
"""Faults of a trial in which daemons are killed: an upload that is killed three times is given up."""
WITH_DATABASE = 0.2
"""Part of the trials whose registry is on PostgreSQL, of works that can have it elsewhere."""


@dataclass
class Result:
    """What a campaign has found until now."""

    table: Table = field(default_factory=Counter)
    failed: dict[int, list[str]] = field(default_factory=dict)
    """By seed: what was wrong."""
    trials: int = 0
    missed: int = 0
    """Faults that did not happen to the work, as it had ended before."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Of the commands and of the campaign itself."""


def main() -> int:
    """Try faults, print the table; return 1 if a trial failed."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--faults", type=int, default=100, help="how many must hit, at least")
    options.add_argument("--seed", type=int, default=0, help="of the first trial; the next has the next one")
    options.add_argument("--only", metavar="KIND", action="append", choices=KINDS, help=", ".join(KINDS))
    options.add_argument("--work", action="append", choices=[work.name for work in WORKS])
    options.add_argument("--archive", type=Path, help="a sample archive; one is made if it is left out")
    options.add_argument("--json", action="store_true", help="print JSON in place of the table")
    asked = options.parse_args()
    # An end by SIGTERM unmounts the disk and stops the database too, and prints what was found until then.
    signal.signal(signal.SIGTERM, _stop)
    # Where it is set, each process that a build starts compiles the whole package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    works = [work for work in WORKS if not asked.work or work.name in asked.work]
    kinds = asked.only or KINDS
    if not any(_possible(kinds, work) for work in works):
        options.error("none of these faults can happen to these works")
    result = Result()
    with (
        tempfile.TemporaryDirectory(prefix="campaign-") as folder,
        bench_in(
            Path(folder),
            asked.archive,
            with_postgres=DATABASE in kinds or any(work.on_postgres for work in works),
            with_store=any(work.on_store for work in works),
        ) as bench,
        suppress(StoppedError),
    ):
        try_all(bench, count(asked.seed), asked.faults, kinds, works, result)
    if asked.json:
        pairs = sorted({(kind, work) for kind, work, _ in result.table})
        table = [
            {
                "fault": kind,
                "work": work,
                "passed": result.table[kind, work, True],
                "failed": result.table[kind, work, False],
            }
            for kind, work in pairs
        ]
        print(json.dumps({**vars(result), "table": table}, indent=1))
    else:
        print(shown(result.table))
        print(
            f"\n{result.table.total()} faults in {result.trials} trials, {result.missed} more came too late; "
            f"{result.seconds:.0f} s, {result.cpu_s:.0f} s of CPU."
        )
        for seed, wrong in result.failed.items():
            print(f"\nseed {seed}: " + "\n  ".join(wrong))
    return 1 if result.failed else 0


@contextmanager
def bench_in(
    root: Path, archive: Path | None = None, *, with_postgres: bool, with_store: bool
) -> Iterator[Bench]:
    """Have what trials need, in an empty folder.

    Args:
        root: the folder.
        archive: a sample archive; None makes one.
        with_postgres: have a database server for registries.
        with_store: have an object store.
    """
    if archive is None:
        archive = root / "archive"
        make_archive(archive, plan=SMALL_PLAN, workers=1)
    place = root / "place"
    place.mkdir()
    with ExitStack() as stack:
        stack.enter_context(mount_small_disk(place, ROOM))
        postgres = stack.enter_context(postgres_server()) if with_postgres else None
        store = stack.enter_context(faulty_store()) if with_store else None
        yield Bench(root, archive, stack.enter_context(CommandServer()), postgres, store)


class StoppedError(Exception):
    """The campaign is to end before its time."""


def _stop(*_: object) -> None:
    raise StoppedError


def try_all(
    bench: Bench,
    seeds: Iterable[int],
    faults: int,
    kinds: Sequence[str],
    works: Sequence[Work],
    result: Result,
) -> None:
    """Do a trial for each seed, until so many faults have hit.

    Args:
        bench: where.
        seeds: of the trials.
        faults: that hit, at least; the last trial is done to its end.
        kinds: of the faults.
        works: that are disturbed.
        result: is told of each trial when it has ended.
    """
    began, own = time.monotonic(), _own_cpu_s()
    for seed in seeds:
        random = Random(seed)
        work, drawn = draw_trial(random, kinds, works)
        tried = bench.try_(work, drawn, random)
        result.trials += 1
        for each in tried:
            result.missed += not each.hit and not each.wrong
            if each.hit or each.wrong:
                result.table[each.fault.kind, work.name, not each.wrong] += 1
        wrong = tried[-1].wrong
        if wrong:
            result.failed[seed] = [f"{work.name}, {[each.fault for each in tried]}", *wrong]
        result.seconds = time.monotonic() - began
        result.cpu_s = bench.cpu_s + _own_cpu_s() - own
        told = "\n  ".join(["failed", *result.failed[seed]] if wrong else ["passed"])
        hits = ", ".join(each.fault.kind for each in tried if each.hit)
        print(
            f"seed {seed}, {result.table.total()} faults, {result.seconds:.0f} s, CPU {result.cpu_s:.0f} s: "
            f"{work.name}: {hits}: {told}",
            file=sys.stderr,
            flush=True,
        )
        if result.table.total() >= faults:
            break


def draw_trial(random: Random, kinds: Sequence[str], works: Sequence[Work]) -> tuple[Work, list[Fault]]:
    """Draw a work, and the faults that disturb it, in their order.

    Args:
        random: draws.
        kinds: of the faults.
        works: of which at least one can be disturbed by one of the kinds.
    """
    works = [work for work in works if _possible(kinds, work)]
    work = random.choices(works, [work.weight for work in works])[0]
    possible = _possible(kinds, work)
    chosen = []
    if DATABASE in possible and not work.on_postgres:
        if random.random() < WITH_DATABASE or possible == [DATABASE]:
            chosen = [DATABASE]
        else:
            possible.remove(DATABASE)
    faults = OF_DAEMON if work.uploads else random.randint(FEWEST, MOST)
    chosen += random.choices(possible, k=faults - len(chosen))
    random.shuffle(chosen)
    return work, [draw(kind, random) for kind in chosen]


def _possible(kinds: Sequence[str], work: Work) -> list[str]:
    """Return the kinds of faults that can happen to a work."""
    return [
        kind
        for kind in kinds
        if (work.reads_server or kind not in OF_SERVER)
        and (work.on_store or kind not in OF_STORE)
        and (work.uploads > 0) == (kind == DAEMON)
    ]


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def shown(table: Table) -> str:
    """Return the table in Markdown: faults after which all was well, and after a slash the others.

    Works whose home is on an object store have a table of their own.
    """
    groups = [[work.name for work in WORKS if work.home_on_store == on_store] for on_store in (False, True)]
    used = {name for _, name, _ in table}
    return "\n\n".join(_lines(table, found) for names in groups if (found := [n for n in names if n in used]))


def _lines(table: Table, names: Sequence[str]) -> str:
    lines = [["", *(name.removesuffix(HOME_ON_STORE) for name in names), "all"]]
    lines.append(["---"] * len(lines[0]))
    used = [
        kind for kind in KINDS if any(table[kind, name, good] for name in names for good in (True, False))
    ]
    for title, kinds in (*((kind, [kind]) for kind in used), ("all", used)):
        columns = *([name] for name in names), names
        lines.append([title, *(_cell(table, kinds, column) for column in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(table: Table, kinds: Sequence[str], names: Sequence[str]) -> str:
    good, bad = (sum(table[kind, name, well] for kind in kinds for name in names) for well in (True, False))
    return f"{good} / {bad}" if good or bad else ""


if __name__ == "__main__":
    sys.exit(main())
