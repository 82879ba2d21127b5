"""One trial: work that a fault disturbs, the same command again, and what is there at the end."""

import re
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.campaign.commands import Command, CommandServer, Ended, kill
from factory_pipeline_tests.campaign.contents import Contents, contents_of, differences, plain
from factory_pipeline_tests.campaign.faults import DATABASE, DISK, FOR_EVER_S, KILLED, READ_ONLY, Fault
from factory_pipeline_tests.campaign.works import Work, make_place, make_served
from factory_pipeline_tests.postgres import PostgresServer
from factory_pipeline_tests.small_disk import resize

ROOM = "4g"
NOT_CLEAR = re.compile(r"Traceback|unexpected error|\b\w+\.\w+Error\b|please report")
"""What a sentence for users does not have."""
ALREADY = re.compile(r"already|exists")
LONGEST_SENTENCE = 1000


@dataclass(frozen=True)
class Undisturbed:
    """Work that nothing disturbed."""

    template: Path
    """What is there before it."""
    database: str | None
    """The name of the database that is there before it."""
    contents: Contents
    seconds: float
    bytes: int
    """The room that it needs."""


class Bench:
    """The folders, servers and processes of a campaign."""

    def __init__(self, root: Path, archive: Path, commands: CommandServer, postgres: PostgresServer) -> None:
        """Make the archives.

        Args:
            root: a folder; trials are in `root/place`, a disk of its own whose size can be changed.
            archive: a sample archive.
            commands: starts the commands.
            postgres: for the registries of trials whose database is disturbed.
        """
        self._root, self._commands, self._postgres = root, commands, postgres
        self._place = root / "place"
        self._undisturbed: dict[tuple[str, bool], Undisturbed] = {}
        make_served(root / "served", archive)
        with socket.create_server(("127.0.0.1", 0)) as free:
            # All trials have the same address, as it is in what they make.
            self._port = free.getsockname()[1]

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def try_(self, work: Work, fault: Fault, random: Random) -> list[str]:
        """Do the work with the fault, then again without it.

        Returns:
            What is wrong: nothing, if all is well.
        """
        known = self._undisturbed_of(work, fault.kind == DATABASE)
        registry = self._lay_out(known)
        wrong: list[str] = []
        ended = self._disturbed(work, fault, known, random, registry)
        killed = fault.kind == KILLED
        if ended.left:
            wrong.append(f"{ended.left} processes outlived the command")
        found = contents_of(self._place, registry)
        if ended.code == 0:
            wrong += [f"though the command ended well: {it}" for it in differences(found, known.contents)]
        elif not killed:
            wrong += _unclear(ended)
        wrong += self._half_finished(work, known.contents, found)
        if ended.code != 0:
            for at in fault.again:
                with self._serving(work, ()):
                    self._killed(self._start(work, registry), at * known.seconds, True, random)
            complete = not differences(contents_of(self._place, registry), known.contents)
            with self._serving(work, ()):
                again = self._start(work, registry).wait()
            if again.code != 0 and not (complete and ALREADY.search(again.told)):
                wrong.append(f"the command again: exit code {again.code}, {_end_of(again.told)}")
            found = contents_of(self._place, registry)
            wrong += [f"after the command again: {it}" for it in differences(found, known.contents)]
        if not killed and (left := sorted(path.name for path in (self._place / "tmp").iterdir())):
            wrong.append(f"temporary files are left: {', '.join(left)}")
        return wrong

    # The fault

    def _disturbed(
        self, work: Work, fault: Fault, known: Undisturbed, random: Random, registry: str | None
    ) -> Ended:
        at = fault.at * known.seconds
        with ExitStack() as stack:
            stack.enter_context(self._serving(work, fault.server))
            if fault.kind == DISK:
                used = shutil.disk_usage(self._place).used
                resize(self._place, str(used + max(4096, round(fault.room * known.bytes))))
                stack.callback(resize, self._place, ROOM)
            clock = [(after * known.seconds, by) for after, by in fault.clock]
            if fault.kind == READ_ONLY and not at:
                stack.enter_context(self._read_only(random))
            if fault.kind == DATABASE and not at:
                self._database_gone(stack, None, fault.gone_s)
            command = self._start(work, registry, clock)
            if fault.kind == KILLED:
                return self._killed(command, at, fault.all_processes, random)
            _wait_until(command, at)
            if fault.kind == READ_ONLY and at:
                stack.enter_context(self._read_only(random))
            if fault.kind == DATABASE and at:
                self._database_gone(stack, command, fault.gone_s)
            return command.wait()

    def _killed(self, command: Command, at: float, all_processes: bool, random: Random) -> Ended:
        _wait_until(command, at)
        running = command.processes()
        if running:
            kill(running if all_processes else [random.choice(running)])
        return command.wait()

    @contextmanager
    def _read_only(self, random: Random) -> Iterator[None]:
        folders = [self._place / "out", *(path for path in self._place.rglob("*") if path.is_dir())]
        chosen = random.choice(sorted(path for path in folders if path.exists() and path.name != "tmp"))
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
        make_place(self._place, self._url)
        for command in work.prepare:
            with self._serving(work, ()):
                self._must(self._start(work, registry, command=command).wait())
        template = self._root / f"template-{len(self._undisturbed)}"
        shutil.copytree(self._place, template, symlinks=True)
        if registry is not None:
            name = registry.partition("@/")[2].partition("?")[0]
            registry = self._postgres.new_database(like=name)
        used = shutil.disk_usage(self._place).used
        with self._serving(work, ()):
            ended = self._start(work, registry).wait()
        self._must(ended)
        room = shutil.disk_usage(self._place).used - used
        contents = contents_of(self._place, registry)
        known = Undisturbed(template, name, contents, ended.seconds, room)
        self._undisturbed[work.name, on_postgres] = known
        return known

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

    @contextmanager
    def _serving(self, work: Work, faults: Sequence[Faults]) -> Iterator[None]:
        with SampleServer(self._root / "served" / work.served, self._port, faults):
            yield

    def _start(
        self,
        work: Work,
        registry: str | None,
        clock: list[tuple[float, float]] | None = None,
        command: tuple[str, ...] | None = None,
    ) -> Command:
        arguments = [it.format(place=self._place, url=self._url) for it in command or work.command]
        environment = {"FACTORY_HOME": str(self._place / "home"), "TMPDIR": str(self._place / "tmp")}
        if registry is not None:
            environment["FACTORY_REGISTRY"] = registry
        return self._commands.start(arguments, environment, self._root / "log", clock or ())

    def _half_finished(self, work: Work, expected: Contents, found: Contents) -> list[str]:
        finished = [str(path.relative_to(self._place)) for path in self._place.glob(work.finished)]
        return [
            f"unfinished work has another {name}"
            for name in sorted(map(plain, finished))
            if name in found and name in expected and found[name] != expected[name]
        ]


def _wait_until(command: Command, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and command.runs():
        time.sleep(min(0.01, max(0.0, until - time.monotonic())))


def _unclear(ended: Ended) -> list[str]:
    said = [line for line in ended.told.splitlines() if line.startswith("Error: ")]
    if len(said) != 1 or NOT_CLEAR.search(said[0]) or len(said[0]) > LONGEST_SENTENCE:
        return [f"no clear sentence, exit code {ended.code}: {_end_of(ended.told)}"]
    return []


def _end_of(told: str) -> str:
    return told.strip()[-1500:]
