"""One trial: work that is disturbed again and again, then left to end, and what is there at the end.

What work leaves behind when nothing disturbs it is made once, and compared with each trial's.
"""

import re
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random

from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.campaign.commands import Command, CommandServer, Ended, Watch, kill
from factory_pipeline_tests.campaign.contents import Contents, changed_folders, differences
from factory_pipeline_tests.campaign.daemon import Progress
from factory_pipeline_tests.campaign.faults import (
    DATABASE,
    FOR_EVER_S,
    KILLED_AT_REQUEST,
    OF_SERVER,
    OF_STORE,
    Fault,
    fit,
)
from factory_pipeline_tests.campaign.store import FaultyStore
from factory_pipeline_tests.campaign.workplace import SCRATCH, Template, Workplace
from factory_pipeline_tests.campaign.works import Work, make_served
from factory_pipeline_tests.postgres import PostgresServer
from factory_pipeline_tests.small_disk import resize

ROOM = "4g"
ALREADY = re.compile(r"already|exists|is in use")


@dataclass(frozen=True)
class Undisturbed:
    """Work that nothing disturbed."""

    template: Template
    """What is there before it."""
    contents: Contents
    seconds: float
    """Of the command; where a daemon works of that alone, not of its start and end."""
    bytes: int
    """The room that it needs."""
    writes: int
    """How often its first process writes."""
    paths: list[str]
    """Those that it requests of the server, each as often as it does."""
    requests_of_store: int
    """How many it makes."""
    folders: list[str]
    """Those in which it makes or changes files, relative to the folder of the trial."""


@dataclass(frozen=True)
class Tried:
    """A fault that was tried."""

    fault: Fault
    hit: bool
    """Whether it happened to the work: it ran, or was given a faulty answer, or could not write."""
    wrong: list[str]
    """What is wrong after it: nothing, if all is well."""


class Bench:
    """The folders, servers and processes of a campaign."""

    def __init__(
        self,
        root: Path,
        archive: Path,
        commands: CommandServer,
        postgres: PostgresServer | None,
        store: FaultyStore | None,
    ) -> None:
        """Make the archives.

        Args:
            root: a folder; trials are in `root/place`, a disk of its own whose size can be changed.
            archive: a sample archive.
            commands: starts the commands.
            postgres: for the registries of trials whose database is disturbed; None: there are none.
            store: for works that write on one; None: there are none.
        """
        self._root, self._commands = root, commands
        self._place = Workplace(root / "place", postgres, store)
        self._undisturbed: dict[tuple[str, bool], Undisturbed] = {}
        make_served(root / "served", archive)
        with socket.create_server(("127.0.0.1", 0)) as free:
            # All trials have the same address, as it is in what they make.
            self._port = free.getsockname()[1]

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that the commands took until now."""
        return self._commands.cpu_s

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def try_(self, work: Work, faults: Sequence[Fault], random: Random) -> list[Tried]:
        """Disturb the work by one fault after the other, then leave it to end.

        Work that ends in spite of a fault is compared, and begun anew for the next one.

        Args:
            work: what is disturbed.
            faults: in their order.
            random: draws what happens to which process or folder.

        Returns:
            What came of each fault; none after the first after which something is wrong.
        """
        known = self._undisturbed_of(work, work.on_postgres or any(it.kind == DATABASE for it in faults))
        self._place.lay_out(known.template)
        if work.uploads:
            return self._kill_daemons(work, faults, known)
        killed = False
        tried: list[Tried] = []
        for number, fault in enumerate(faults):
            last = number == len(faults) - 1
            ended, hit = self._disturbed(work, fault, known, random)
            killed = killed or ended.code < 0 or fault.dies is not None
            found = self._place.contents()
            done = not (wrong := differences(found, known.contents))
            if ended.code:
                wrong = self._half_finished(work, known.contents, found)
                if ended.code > 0 and not (done and ALREADY.search(ended.told)):
                    wrong += ended.unclear()
                if last and not wrong and not done:
                    wrong, done = self._finished(work, known), True
            else:
                wrong = [f"though the command ended well: {it}" for it in wrong]
            if ended.left:
                wrong.append(f"{ended.left} processes outlived the command")
            if not killed and (left := self._place.leftovers()):
                wrong.append(f"temporary files are left: {', '.join(left)}")
            tried.append(Tried(fault, hit, wrong))
            if wrong:
                break
            if done and not last:
                self._place.lay_out(known.template)
                killed = False
        return tried

    def _kill_daemons(self, work: Work, faults: Sequence[Fault], known: Undisturbed) -> list[Tried]:
        """Kill one daemon after the other, each begun beside what the last one left; then let one end."""
        progress = self._progress(work)
        killed: list[Command] = []
        tried: list[Tried] = []
        try:
            for number, fault in enumerate(faults):
                killed.append(command := self._start(work, log=f"daemon-{number}"))
                while command.runs() and not progress.has_begun():
                    time.sleep(0.05)
                _wait_until(command, fault.at * known.seconds)
                tried.append(Tried(fault, command.runs(), []))
                running = command.processes()
                # The first process is its parent's, in the place of `factory ui`.
                kill(running if fault.all_processes else running[1:2])
            wrong = self._finished(work, known)
            if left := sum(command.wait().left for command in killed):
                wrong.append(f"{left} processes outlived a daemon that was killed")
        finally:
            for command in killed:
                kill(command.processes())
        return [*tried[:-1], replace(tried[-1], wrong=wrong)]

    def _progress(self, work: Work) -> Progress:
        return Progress(self._place.home_of(work), self._place.registry)

    def _finished(self, work: Work, known: Undisturbed) -> list[str]:
        """Do the work undisturbed; return what is wrong then."""
        with self._serving(work, ()):
            again = self._start(work).wait()
        wrong = [] if again.code == 0 else [f"the command again: exit code {again.code}, {again.last_words}"]
        found = self._place.contents()
        return wrong + [f"after the command again: {it}" for it in differences(found, known.contents)]

    # The fault

    def _disturbed(self, work: Work, fault: Fault, known: Undisturbed, random: Random) -> tuple[Ended, bool]:
        """Do the work with a fault; return how it ended, and whether the fault happened to it."""
        if fault.kind in OF_SERVER:
            with self._serving(work, [fit(each, known.paths) for each in fault.server]) as server:
                ended = self._start(work).wait()
                return ended, any(count.faulty for count in server.counts().values())
        with ExitStack() as stack:
            stack.enter_context(self._serving(work, ()))
            if fault.kind in OF_STORE:
                return self._disturbed_by_store(work, fault, known)
            at = fault.at * known.seconds
            match fault.kind:
                case "killed":
                    return self._killed(work, fault, known, random)
                case "two processes":
                    return self._beside(work, fault, known)
                case "clock steps":
                    clock = [(after * known.seconds, by) for after, by in fault.clock]
                    ended = self._start(work, clock).wait()
                    return ended, ended.seconds > min(after for after, _ in clock)
                case "disk full":
                    used = shutil.disk_usage(self._place.folder).used
                    resize(self._place.folder, str(used + max(4096, round(fault.room * known.bytes))))
                    stack.callback(resize, self._place.folder, ROOM)
                    ended = self._start(work).wait()
                    return ended, ended.code != 0
                case "read-only folder":
                    command = self._start(work)
                    _wait_until(command, at)
                    stack.enter_context(self._read_only(known.folders, random))
                    ended = command.wait()
                    return ended, ended.code != 0
                case "database gone":
                    if not at:
                        self._database_gone(stack, None, fault.gone_s)
                    command = self._start(work)
                    _wait_until(command, at)
                    hit = command.runs()
                    if at:
                        self._database_gone(stack, command, fault.gone_s)
                    return command.wait(), hit
        raise ValueError(fault.kind)

    def _killed(self, work: Work, fault: Fault, known: Undisturbed, random: Random) -> tuple[Ended, bool]:
        if fault.at_write is not None:
            watch = Watch(str(self._place.folder), 1 + int(fault.at_write * known.writes))
            ended = self._start(work, watch=watch).wait()
            return ended, ended.code < 0
        command = self._start(work)
        _wait_until(command, fault.at * known.seconds)
        running = command.processes()
        if running:
            kill(running if fault.all_processes else [random.choice(running)])
        return command.wait(), bool(running)

    def _disturbed_by_store(self, work: Work, fault: Fault, known: Undisturbed) -> tuple[Ended, bool]:
        store = self._place.store
        assert store is not None
        store.set_faults([fit(each, known.requests_of_store * [""]) for each in fault.server])
        command = self._start(work)
        if fault.kind == KILLED_AT_REQUEST:
            number = 1 + int(fault.at * known.requests_of_store)
            store.call_at(number, lambda: kill(command.processes()), is_answered=fault.is_answered)
        ended = command.wait()
        hit = store.faulty > 0
        store.set_faults(())
        return ended, hit

    def _beside(self, work: Work, fault: Fault, known: Undisturbed) -> tuple[Ended, bool]:
        """Do the work in two processes; return how the one ended that was not killed, if it says most."""
        first = self._start(work)
        _wait_until(first, fault.apart * known.seconds)
        hit = first.runs()
        # Another machine shares the store and the database, and nothing else.
        elsewhere = fault.elsewhere and work.home_on_store
        second = self._start(work, log="second", scratch=f"{SCRATCH}-2" if elsewhere else SCRATCH)
        both = (first, second)
        if fault.dies is not None:
            _wait_until(second, (fault.at - fault.apart) * known.seconds)
            kill(both[fault.dies].processes())
        ends = [command.wait() for command in both]
        return max(ends, key=lambda ended: (ended.left, bool(ended.code > 0), ended.code == 0)), hit

    @contextmanager
    def _read_only(self, folders: Sequence[str], random: Random) -> Iterator[None]:
        chosen = random.choice([path for it in folders if (path := self._place.folder / it).is_dir()])
        chosen.chmod(0o555)
        try:
            yield
        finally:
            if chosen.exists():
                chosen.chmod(0o755)

    def _database_gone(self, stack: ExitStack, command: Command | None, seconds: float) -> None:
        self._place.postgres.stop()
        if seconds == FOR_EVER_S or command is None:
            stack.callback(self._place.postgres.start)
            return
        _wait_until(command, seconds)
        self._place.postgres.start()

    # Work

    def _undisturbed_of(self, work: Work, on_postgres: bool) -> Undisturbed:
        known = self._undisturbed.get((work.name, on_postgres))
        if known is not None:
            return known
        place = self._place
        place.make(work, self._url, on_postgres=on_postgres)
        for command in work.prepare:
            with self._serving(work, ()):
                self._must(self._start(work, command=command).wait())
        template = place.keep(self._root / f"template-{len(self._undisturbed)}")
        used = shutil.disk_usage(place.folder).used
        if place.store is not None:
            place.store.set_faults(())
        with self._serving(work, ()) as server:
            ended = self._start(work, watch=Watch(str(place.folder))).wait()
            paths = [path for path, count in server.counts().items() for _ in range(count.requests)]
        self._must(ended)
        assert ended.writes is not None
        known = Undisturbed(
            template,
            seconds=self._progress(work).seconds() if work.uploads else ended.seconds,
            bytes=shutil.disk_usage(place.folder).used - used,
            writes=ended.writes,
            paths=paths,
            requests_of_store=place.store.requests if place.store is not None else 0,
            folders=changed_folders(place.folder, template.folder),
            contents=place.contents(),
        )
        self._undisturbed[work.name, on_postgres] = known
        return known

    def _must(self, ended: Ended) -> None:
        if ended.code != 0:
            raise RuntimeError(f"An undisturbed command failed: {ended.told}")

    @contextmanager
    def _serving(self, work: Work, faults: Sequence[Faults]) -> Iterator[SampleServer]:
        with SampleServer(self._root / "served" / work.served, self._port, faults) as server:
            yield server

    def _start(
        self,
        work: Work,
        clock: Sequence[tuple[float, float]] = (),
        command: tuple[str, ...] | None = None,
        watch: Watch | None = None,
        log: str = "first",
        scratch: str = SCRATCH,
    ) -> Command:
        place, store = self._place, self._place.store
        arguments = [
            it.format(place=place.folder, url=self._url, store=store.address if store is not None else "")
            for it in command or work.command
        ]
        environment = place.environment(work, scratch)
        return self._commands.start(
            arguments, environment, self._root / f"{log}.log", clock, watch, work.program
        )

    def _half_finished(self, work: Work, expected: Contents, found: Contents) -> list[str]:
        return [
            f"unfinished work has another {name}"
            for name in sorted(found.keys() & expected.keys())
            if fnmatchcase(name, work.finished) and found[name] != expected[name]
        ]


def _wait_until(command: Command, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and command.runs():
        time.sleep(min(0.01, max(0.0, until - time.monotonic())))
