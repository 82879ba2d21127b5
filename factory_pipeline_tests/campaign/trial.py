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

from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.campaign.commands import Command, CommandServer, Ended, Watch, kill
from factory_pipeline_tests.campaign.contents import Contents, changed_folders, contents_of, differences
from factory_pipeline_tests.campaign.daemon import has_begun, seconds_of_work
from factory_pipeline_tests.campaign.faults import (
    DATABASE,
    FOR_EVER_S,
    OF_SERVER,
    OF_STORE,
    Fault,
    fit,
)
from factory_pipeline_tests.campaign.store import FaultyStore
from factory_pipeline_tests.campaign.works import Work, make_place, make_served
from factory_pipeline_tests.postgres import PostgresServer
from factory_pipeline_tests.small_disk import resize

ROOM = "4g"
ALREADY = re.compile(r"already|exists|is in use")


@dataclass(frozen=True)
class Undisturbed:
    """Work that nothing disturbed."""

    template: Path
    """What is there before it."""
    database: str | None
    """The name of the database that is there before it."""
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
        self._root, self._commands, self._server, self._store = root, commands, postgres, store
        self._place = root / "place"
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
    def _home(self) -> FactoryHome:
        return FactoryHome(self._place / "home")

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def _postgres(self) -> PostgresServer:
        assert self._server is not None, "a registry on PostgreSQL needs a server"
        return self._server

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
        known = self._undisturbed_of(work, any(fault.kind == DATABASE for fault in faults))
        if work.uploads:
            return self._kill_daemons(work, faults, known)
        registry, killed = self._lay_out(known), False
        tried: list[Tried] = []
        for number, fault in enumerate(faults):
            last = number == len(faults) - 1
            ended, hit = self._disturbed(work, fault, known, random, registry)
            killed = killed or ended.code < 0 or fault.dies is not None
            found = self._contents(registry)
            done = not (wrong := differences(found, known.contents))
            if ended.code:
                wrong = self._half_finished(work, known.contents, found)
                if ended.code > 0 and not (done and ALREADY.search(ended.told)):
                    wrong += ended.unclear()
                if last and not wrong and not done:
                    wrong, done = self._finished(work, known, registry), True
            else:
                wrong = [f"though the command ended well: {it}" for it in wrong]
            if ended.left:
                wrong.append(f"{ended.left} processes outlived the command")
            if not killed and (left := sorted(path.name for path in (self._place / "tmp").iterdir())):
                wrong.append(f"temporary files are left: {', '.join(left)}")
            tried.append(Tried(fault, hit, wrong))
            if wrong:
                break
            if done and not last:
                registry, killed = self._lay_out(known), False
        return tried

    def _kill_daemons(self, work: Work, faults: Sequence[Fault], known: Undisturbed) -> list[Tried]:
        """Kill one daemon after the other, each begun beside what the last one left; then let one end."""
        self._lay_out(known)
        killed: list[Command] = []
        tried: list[Tried] = []
        try:
            for number, fault in enumerate(faults):
                killed.append(command := self._start(work, None, log=f"daemon-{number}"))
                while command.runs() and not has_begun(self._home):
                    time.sleep(0.05)
                _wait_until(command, fault.at * known.seconds)
                tried.append(Tried(fault, command.runs(), []))
                running = command.processes()
                # The first process is its parent's, in the place of `factory ui`.
                kill(running if fault.all_processes else running[1:2])
            wrong = self._finished(work, known, None)
            if left := sum(command.wait().left for command in killed):
                wrong.append(f"{left} processes outlived a daemon that was killed")
        finally:
            for command in killed:
                kill(command.processes())
        return [*tried[:-1], replace(tried[-1], wrong=wrong)]

    def _finished(self, work: Work, known: Undisturbed, registry: str | None) -> list[str]:
        """Do the work undisturbed; return what is wrong then."""
        with self._serving(work, ()):
            again = self._start(work, registry).wait()
        wrong = [] if again.code == 0 else [f"the command again: exit code {again.code}, {again.last_words}"]
        found = self._contents(registry)
        return wrong + [f"after the command again: {it}" for it in differences(found, known.contents)]

    # The fault

    def _disturbed(
        self, work: Work, fault: Fault, known: Undisturbed, random: Random, registry: str | None
    ) -> tuple[Ended, bool]:
        """Do the work with a fault; return how it ended, and whether the fault happened to it."""
        if fault.kind in OF_SERVER:
            with self._serving(work, [fit(each, known.paths) for each in fault.server]) as server:
                ended = self._start(work, registry).wait()
                return ended, any(count.faulty for count in server.counts().values())
        with ExitStack() as stack:
            stack.enter_context(self._serving(work, ()))
            if fault.kind in OF_STORE:
                assert self._store is not None
                self._store.set_faults([fit(each, known.requests_of_store * [""]) for each in fault.server])
                stack.callback(self._store.set_faults, ())
                ended = self._start(work, registry).wait()
                return ended, self._store.faulty > 0
            at = fault.at * known.seconds
            match fault.kind:
                case "killed":
                    return self._killed(work, fault, known, random, registry)
                case "two processes":
                    return self._beside(work, fault, known, registry)
                case "clock steps":
                    clock = [(after * known.seconds, by) for after, by in fault.clock]
                    ended = self._start(work, registry, clock).wait()
                    return ended, ended.seconds > min(after for after, _ in clock)
                case "disk full":
                    used = shutil.disk_usage(self._place).used
                    resize(self._place, str(used + max(4096, round(fault.room * known.bytes))))
                    stack.callback(resize, self._place, ROOM)
                    ended = self._start(work, registry).wait()
                    return ended, ended.code != 0
                case "read-only folder":
                    command = self._start(work, registry)
                    _wait_until(command, at)
                    stack.enter_context(self._read_only(known.folders, random))
                    ended = command.wait()
                    return ended, ended.code != 0
                case "database gone":
                    if not at:
                        self._database_gone(stack, None, fault.gone_s)
                    command = self._start(work, registry)
                    _wait_until(command, at)
                    hit = command.runs()
                    if at:
                        self._database_gone(stack, command, fault.gone_s)
                    return command.wait(), hit
        raise ValueError(fault.kind)

    def _killed(
        self, work: Work, fault: Fault, known: Undisturbed, random: Random, registry: str | None
    ) -> tuple[Ended, bool]:
        if fault.at_write is not None:
            watch = Watch(str(self._place), 1 + int(fault.at_write * known.writes))
            ended = self._start(work, registry, watch=watch).wait()
            return ended, ended.code < 0
        command = self._start(work, registry)
        _wait_until(command, fault.at * known.seconds)
        running = command.processes()
        if running:
            kill(running if fault.all_processes else [random.choice(running)])
        return command.wait(), bool(running)

    def _beside(
        self, work: Work, fault: Fault, known: Undisturbed, registry: str | None
    ) -> tuple[Ended, bool]:
        """Do the work in two processes; return how the one ended that was not killed, if it says most."""
        first = self._start(work, registry)
        _wait_until(first, fault.apart * known.seconds)
        hit = first.runs()
        second = self._start(work, registry, log="second")
        both = (first, second)
        if fault.dies is not None:
            _wait_until(second, (fault.at - fault.apart) * known.seconds)
            kill(both[fault.dies].processes())
        ends = [command.wait() for command in both]
        return max(ends, key=lambda ended: (ended.left, bool(ended.code > 0), ended.code == 0)), hit

    @contextmanager
    def _read_only(self, folders: Sequence[str], random: Random) -> Iterator[None]:
        chosen = random.choice([path for it in folders if (path := self._place / it).is_dir()])
        chosen.chmod(0o555)
        try:
            yield
        finally:
            if chosen.exists():
                chosen.chmod(0o755)

    def _database_gone(self, stack: ExitStack, command: Command | None, seconds: float) -> None:
        self._postgres.stop()
        if seconds == FOR_EVER_S or command is None:
            stack.callback(self._postgres.start)
            return
        _wait_until(command, seconds)
        self._postgres.start()

    # Work

    def _undisturbed_of(self, work: Work, on_postgres: bool) -> Undisturbed:
        known = self._undisturbed.get((work.name, on_postgres))
        if known is not None:
            return known
        self._clear()
        registry = name = None
        if on_postgres:
            registry = self._postgres.new_database()
        make_place(self._place, self._url, work.uploads)
        for command in work.prepare:
            with self._serving(work, ()):
                self._must(self._start(work, registry, command=command).wait())
        template = self._root / f"template-{len(self._undisturbed)}"
        shutil.copytree(self._place, template, symlinks=True)
        if registry is not None:
            name = registry.partition("@/")[2].partition("?")[0]
            registry = self._postgres.new_database(like=name)
        used = shutil.disk_usage(self._place).used
        if self._store is not None:
            self._store.set_faults(())
        with self._serving(work, ()) as server:
            ended = self._start(work, registry, watch=Watch(str(self._place))).wait()
            paths = [path for path, count in server.counts().items() for _ in range(count.requests)]
        self._must(ended)
        assert ended.writes is not None
        requests = self._store.requests if self._store is not None else 0
        room = shutil.disk_usage(self._place).used - used
        contents = self._contents(registry)
        known = Undisturbed(
            template,
            name,
            contents,
            seconds_of_work(self._home) if work.uploads else ended.seconds,
            room,
            ended.writes,
            paths,
            requests,
            changed_folders(self._place, template),
        )
        self._undisturbed[work.name, on_postgres] = known
        return known

    def _contents(self, registry: str | None) -> Contents:
        stored = self._store.contents() if self._store is not None else {}
        return contents_of(self._place, registry, stored)

    def _must(self, ended: Ended) -> None:
        if ended.code != 0:
            raise RuntimeError(f"An undisturbed command failed: {ended.told}")

    def _lay_out(self, known: Undisturbed) -> str | None:
        self._clear()
        shutil.copytree(known.template, self._place, symlinks=True, dirs_exist_ok=True)
        if known.database is None:
            return None
        return self._postgres.new_database(like=known.database)

    def _clear(self) -> None:
        self._place.mkdir(exist_ok=True)
        for path in self._place.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self._store is not None:
            # No work that writes on the store has anything there before.
            self._store.replace_contents({})

    @contextmanager
    def _serving(self, work: Work, faults: Sequence[Faults]) -> Iterator[SampleServer]:
        with SampleServer(self._root / "served" / work.served, self._port, faults) as server:
            yield server

    def _start(
        self,
        work: Work,
        registry: str | None,
        clock: Sequence[tuple[float, float]] = (),
        command: tuple[str, ...] | None = None,
        watch: Watch | None = None,
        log: str = "first",
    ) -> Command:
        address = self._store.address if self._store is not None else ""
        arguments = [
            it.format(place=self._place, url=self._url, store=address) for it in command or work.command
        ]
        environment = {"FACTORY_HOME": str(self._home.root), "TMPDIR": str(self._place / "tmp")}
        if work.on_store:
            assert self._store is not None, "a work on a store needs one"
            environment |= {"FACTORY_SCRATCH": str(self._place / "scratch"), **self._store.environment}
        if registry is not None:
            environment["FACTORY_REGISTRY"] = registry
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
