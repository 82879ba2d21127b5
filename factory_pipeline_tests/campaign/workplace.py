"""Where the work of a trial is done: a folder, and the database and the object store that belong to it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.campaign.contents import Contents, contents_of
from factory_pipeline_tests.campaign.store import FaultyStore
from factory_pipeline_tests.campaign.works import Work, make_place
from factory_pipeline_tests.postgres import PostgresServer

SCRATCH = "scratch"


@dataclass(frozen=True)
class Template:
    """What is there before work begins."""

    folder: Path
    database: str | None
    """Its address."""
    stored: Mapping[str, bytes]
    """The objects of the store by their keys."""


class Workplace:
    """A folder on a disk of its own, with a registry that is its own or on PostgreSQL."""

    def __init__(self, folder: Path, postgres: PostgresServer | None, store: FaultyStore | None) -> None:
        """Take what others have made.

        Args:
            folder: is emptied.
            postgres: for registries; None: no work has one there.
            store: for homes and outputs; None: no work has any there.
        """
        self.folder, self._postgres, self.store = folder, postgres, store
        self.registry: str | None = None
        """The address of the database; None: it is a file of the home."""

    @property
    def postgres(self) -> PostgresServer:
        """The server of the databases."""
        assert self._postgres is not None, "a registry on PostgreSQL needs a server"
        return self._postgres

    def home_of(self, work: Work) -> FactoryHome:
        """Return the home that a work is done in."""
        return FactoryHome.at(self._home_address(work))

    def make(self, work: Work, url: str, *, on_postgres: bool) -> None:
        """Make a new home.

        Args:
            work: that is done in it.
            url: the address of the server that the work reads from.
            on_postgres: have the registry there.
        """
        self._clear()
        make_place(self.folder, url, self._home_address(work), work.uploads)
        home = self.folder / "home"
        if work.home_on_store:
            files = {path: f"home/{path.relative_to(home)}" for path in home.rglob("*") if path.is_file()}
            self._stored.replace_contents({key: path.read_bytes() for path, key in files.items()})
            shutil.rmtree(home)
        if on_postgres:
            self.registry = self.postgres.new_database()

    def keep(self, folder: Path) -> Template:
        """Keep what is there now, and go on in a copy of its database.

        Args:
            folder: does not exist; gets a copy.
        """
        shutil.copytree(self.folder, folder, symlinks=True)
        stored = self.store.contents() if self.store is not None else {}
        kept = Template(folder, self.registry, stored)
        self._copy_database(kept)
        return kept

    def lay_out(self, template: Template) -> None:
        """Have what was kept, and nothing else."""
        self._clear()
        shutil.copytree(template.folder, self.folder, symlinks=True, dirs_exist_ok=True)
        if self.store is not None:
            self.store.replace_contents(template.stored)
        self._copy_database(template)

    def contents(self) -> Contents:
        """Return what is there, in a form that can be compared."""
        stored = self.store.contents() if self.store is not None else {}
        return contents_of(self.folder, self.registry, stored)

    def leftovers(self) -> list[str]:
        """Return the temporary files of commands, by their names, sorted."""
        unfinished = self.folder.glob(f"{SCRATCH}*/**/.*.part*")
        return sorted(path.name for path in (*(self.folder / "tmp").iterdir(), *unfinished))

    def environment(self, work: Work, scratch: str = SCRATCH) -> dict[str, str]:
        """Return the variables that lead a command to all this.

        Args:
            work: that it does.
            scratch: the name of its folder for copies of what is on the store.
        """
        variables = {"FACTORY_HOME": self._home_address(work), "TMPDIR": str(self.folder / "tmp")}
        if work.on_store:
            variables |= {"FACTORY_SCRATCH": str(self.folder / scratch), **self._stored.environment}
        if self.registry is not None:
            variables["FACTORY_REGISTRY"] = self.registry
        return variables

    @property
    def _stored(self) -> FaultyStore:
        assert self.store is not None, "a work on a store needs one"
        return self.store

    def _home_address(self, work: Work) -> str:
        return f"{self._stored.address}/home" if work.home_on_store else str(self.folder / "home")

    def _clear(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.store is not None:
            self.store.replace_contents({})
        if self.registry is not None:
            self.postgres.drop_database(self.registry)
            self.registry = None

    def _copy_database(self, template: Template) -> None:
        if template.database is not None:
            self.registry = self.postgres.new_database(like=self.postgres.name_of(template.database))
