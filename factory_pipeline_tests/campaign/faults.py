"""The faults of a campaign, drawn at random."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from factory_pipeline.synthetic.server import Faults

KILLED, KILLED_AT_REQUEST, DAEMON, DATABASE, DISK, READ_ONLY, CLOCK, BESIDE = (
    "killed",
    "killed at a request of the store",
    "daemon killed",
    "database gone",
    "disk full",
    "read-only folder",
    "clock steps",
    "two processes",
)
OF_SERVER = ("429 or 503", "403", "stall", "truncated", "reset", "wrong range")
OF_STORE = (KILLED_AT_REQUEST, "store 403", "store 404", "store 503", "store stalls")
KINDS = (KILLED, DAEMON, *OF_SERVER, *OF_STORE, DISK, READ_ONLY, DATABASE, CLOCK, BESIDE)
LONGEST_GONE_S = 6.0
"""Of a database that comes back while the work goes on."""
FOR_EVER_S = 10_000.0
DAY_S = 86_400.0
AT_WRITES = 0.6
"""Part of the kills that hit before a write, where there is most to lose; the others come at any time."""


@dataclass(frozen=True)
class Fault:
    """One fault; times are parts of the time that the work takes undisturbed."""

    kind: str
    server: Sequence[Faults] = ()
    at: float = 0.0
    """When it begins."""
    all_processes: bool = False
    """Kill all of them, not one; of a daemon's, not it alone."""
    at_write: float | None = None
    """Kill all processes before this part of the writes that the work does, not at a time."""
    dies: int | None = None
    """Which of two processes is killed at `at`, 0 or 1; None: neither."""
    apart: float = 0.0
    """How long after the first process the second one begins."""
    elsewhere: bool = False
    """Whether the second one has a scratch folder of its own, as on another machine."""
    is_answered: bool = False
    """Whether the store still does what the request says at which all processes are killed."""
    gone_s: float = 0.0
    """How long a database is away."""
    room: float = 0.0
    """Part of the room that the work needs which the disk has."""
    clock: Sequence[tuple[float, float]] = field(default_factory=tuple)
    """When the clock is set, and by how many seconds."""


def draw(kind: str, random: Random) -> Fault:
    """Draw a fault of a kind."""
    at = random.choice([0.0, random.random(), random.random(), random.uniform(0.7, 1.0)])
    match kind:
        case "killed":
            if random.random() < AT_WRITES:
                return Fault(kind, at_write=random.random(), all_processes=True)
            return Fault(kind, at=at, all_processes=random.random() < 0.5)
        case "daemon killed":
            # From when it has taken something in.
            return Fault(kind, at=random.random(), all_processes=random.random() < 0.5)
        case "two processes":
            apart = random.choice([0.0, 0.2 * random.random(), 0.8 * random.random()])
            dies = random.choice([None, 0, 1])
            elsewhere = random.random() < 0.5
            return Fault(kind, at=random.uniform(apart, 1.2), apart=apart, dies=dies, elsewhere=elsewhere)
        case "killed at a request of the store":
            return Fault(kind, at=random.random(), is_answered=random.random() < 0.5)
        case "disk full":
            return Fault(kind, room=random.choice([0.0, *(0.8 * random.random() for _ in range(2))]))
        case "read-only folder":
            return Fault(kind, at=random.choice([0.0, 0.5 * random.random()]))
        case "database gone":
            return Fault(
                kind, at=at, gone_s=random.choice([0.0, LONGEST_GONE_S * random.random(), FOR_EVER_S])
            )
        case "clock steps":
            steps = [
                (random.random(), random.uniform(-2, 2) * random.choice([5, 600, DAY_S])) for _ in range(2)
            ]
            return Fault(kind, clock=tuple(steps))
    if kind in OF_STORE:
        return Fault(kind, server=(_of_store(kind, random),))
    return Fault(kind, server=(_of_server(kind, random),))


def _of_server(kind: str, random: Random) -> Faults:
    what: dict[str, object] = {
        "429 or 503": {
            "status": random.choice([429, 503]),
            "retry_after_s": random.choice([None, 0, 1]),
        },
        "403": {"status": 403},
        "stall": {"delay_s": random.choice([0.5, 2.0, 10.0])},
        "truncated": {"truncate": True},
        "reset": {"reset": True},
        "wrong range": {"range_shift": random.choice([-1, 1, 512, 65_536])},
    }[kind]  # type: ignore[assignment]
    return Faults(
        path=random.choice(["*", "*", "*.tif", "*/search", "*/collections*", "*.zip", "*.tar.gz"]),
        after=random.choice([0, 0, random.randrange(4), random.randrange(60)]),
        times=random.choice([1, 2, random.randrange(1, 30), None]),
        fraction=random.choice([1.0, 1.0, 0.3]),
        seed=random.randrange(1 << 30),
        **what,  # type: ignore[arg-type]
    )


def _of_store(kind: str, random: Random) -> Faults:
    what: dict[str, object] = {
        "store 403": {"status": 403, "times": random.choice([1, None, None])},
        "store 404": {"status": 404, "times": None},
        "store 503": {"status": 503, "times": random.choice([1, 2, 3, 5])},
        "store stalls": {"delay_s": random.choice([0.5, 2.0]), "times": random.randint(1, 6)},
    }[kind]  # type: ignore[assignment]
    # Where it begins is drawn anew among the requests that the work makes.
    return Faults(after=random.randrange(1 << 20), seed=random.randrange(1 << 30), **what)  # type: ignore[arg-type]


def fit(fault: Faults, paths: Sequence[str]) -> Faults:
    """Return a fault of a server that happens to at least one of the requests of a work.

    Args:
        fault: as it was drawn.
        paths: that the work requests when nothing disturbs it, each as often as it does.
    """
    matched = sum(fnmatch.fnmatchcase(path, fault.path) for path in paths)
    if not matched:
        return replace(fault, path="*", after=fault.after % len(paths))
    return replace(fault, after=fault.after % matched)
