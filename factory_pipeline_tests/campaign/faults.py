"""The faults of a campaign, drawn at random."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from factory_pipeline.synthetic.server import Faults

KILLED, DATABASE, DISK, READ_ONLY, CLOCK = (
    "killed",
    "database gone",
    "disk full",
    "read-only folder",
    "clock steps",
)
OF_SERVER = ("429 or 503", "403", "stall", "truncated", "reset", "wrong range")
KINDS = (KILLED, *OF_SERVER, DISK, READ_ONLY, DATABASE, CLOCK)
LONGEST_GONE_S = 6.0
"""Of a database that comes back while the work goes on."""
FOR_EVER_S = 10_000.0
DAY_S = 86_400.0


@dataclass(frozen=True)
class Fault:
    """One fault; times are parts of the time that the work takes undisturbed."""

    kind: str
    server: Sequence[Faults] = ()
    at: float = 0.0
    """When it begins."""
    all_processes: bool = False
    """Kill all of them, not one."""
    again: Sequence[float] = ()
    """When the runs after it are killed too."""
    gone_s: float = 0.0
    """How long a database is away."""
    room: float = 0.0
    """Part of the room that the work needs which the disk has."""
    clock: Sequence[tuple[float, float]] = field(default_factory=tuple)
    """When the clock is set, and by how many seconds."""


def draw(kind: str, random: Random) -> Fault:
    """Draw a fault of a kind."""
    at = random.choice([0.0, random.random(), random.random(), 0.7 + 0.4 * random.random()])
    match kind:
        case "killed":
            times = random.choice([0, 0, 1, 2])
            again = tuple(random.random() for _ in range(times))
            return Fault(kind, at=at, all_processes=random.random() < 0.5, again=again)
        case "disk full":
            return Fault(kind, room=random.choice([0.0, random.random(), random.random()]))
        case "read-only folder":
            return Fault(kind, at=at)
        case "database gone":
            return Fault(
                kind, at=at, gone_s=random.choice([0.0, LONGEST_GONE_S * random.random(), FOR_EVER_S])
            )
        case "clock steps":
            steps = [
                (random.random(), random.uniform(-2, 2) * random.choice([5, 600, DAY_S])) for _ in range(2)
            ]
            return Fault(kind, clock=tuple(steps))
    return Fault(kind, server=(_of_server(kind, random),))


def _of_server(kind: str, random: Random) -> Faults:
    what: dict[str, object] = {
        "429 or 503": {
            "status": random.choice([429, 503]),
            "retry_after_s": random.choice([None, 0, 1]),
        },
        "403": {"status": 403},
        "stall": {"delay_s": random.choice([1.0, 3.0, 30.0])},
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
