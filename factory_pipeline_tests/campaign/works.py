"""The pieces of work of a campaign, each a command of `factory` on a home that is prepared for it."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from factory_pipeline_tests.builds.recipes.archives import grid, make_archive, points_csv, scene
from factory_pipeline_tests.campaign import daemon
from factory_pipeline_tests.campaign.commands import FACTORY
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

RELEASE = "sample-stands-1.0.0.tar.gz"
RECIPE = """
name: crops
labels: {kind: points, path: fields.csv, time: {column: surveyed}, target: {column: yield, unit: t/ha}}
window: {size: 8, pixel_size: 10}
sources:
  s2: {collection: sentinel-2-l2a, assets: [B04, B08], time: {around: 10d}}
splits: {by: random, train: 50, test: 50}
"""
PLACES = [(303, 407), (1503, 607), (603, 1507), (903, 207), (1203, 1907), (207, 1801)]
GEDI, OTHERS = "gedi", "others"
"""Folders that are served: the sample archive, and scenes, uploads and releases of the campaign's own."""

HOME_ON_STORE = ", home on a store"
"""The end of the names of works whose home is on an object store."""


@dataclass(frozen=True)
class Work:
    """A command that is disturbed."""

    name: str
    command: tuple[str, ...]
    """`{place}` in it is the folder of the trial, `{url}` the server's address."""
    finished: str
    """Glob of paths, whose `*` matches slashes: files that are whole as soon as they are there."""
    served: str = OTHERS
    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands that nothing disturbs, before it."""
    writes_on_store: bool = False
    """Whether its output is on an object store, whose address is `{store}`."""
    home_on_store: bool = False
    """Whether its home is there, and the registry in PostgreSQL."""
    uploads: int = 0
    """How many are in the inbox, for Dagster's daemon to onboard; where there are none a command works."""
    weight: float = 1.0
    """How often it is drawn, next to the others: what takes long is drawn less."""

    registry_on_postgres: bool = False
    """Whether the registry of its local home is in PostgreSQL in each trial, not only in some."""

    @property
    def on_store(self) -> bool:
        """Whether it writes anything on an object store."""
        return self.writes_on_store or self.home_on_store

    @property
    def on_postgres(self) -> bool:
        """Whether its registry is in PostgreSQL in each trial."""
        return self.registry_on_postgres or self.home_on_store

    @property
    def reads_server(self) -> bool:
        """Whether it reads from a server, not from its home alone."""
        return not self.prepare and not self.uploads

    @property
    def program(self) -> str:
        """The module whose `main` is called with the command."""
        return daemon.__name__ if self.uploads else FACTORY


_IMPORT = ("import-release", "{url}/" + RELEASE, "--json")
_CREATE = ("dataset", "create", "forests", "--collection", "sample-stands", "--json")


def _export(form: str) -> Work:
    command = ("dataset", "download", "forests@1.0.0", form, "--output", "{place}/out", "--json")
    return Work(f"export {form}", command, "out/*", prepare=(_IMPORT, _CREATE))


def _gedi(name: str, output: str, batch_size: int, processes: int, on_store: bool = False) -> Work:
    command = (
        *("create-dataset", "--input", "{place}/../served/gedi/granules", "--output", output),
        *("--catalog", "{url}/stac", "--dataset-size-max", "4", "--batch-size", str(batch_size)),
        *("--num-processors", str(processes)),
    )
    return Work(name, command, "out/*.h5", GEDI, writes_on_store=on_store, weight=0.5)


def _recipe(name: str, output: str, on_store: bool = False) -> Work:
    command = (
        *("create-dataset", "--recipe", "{place}/work/crops.yaml", "--output", output),
        *("--catalog", "{url}/stac", "--batch-size", "2", "--num-processors", "1"),
    )
    return Work(name, command, "out/*.h5", writes_on_store=on_store)


def _by_daemon(name: str, uploads: int, **where: bool) -> Work:
    # `factory ui` takes no command.
    return Work(name, (str(uploads),), "home/datasets/*", uploads=uploads, weight=0.5, **where)


_ON_STORE = (
    _gedi("GEDI build on a store", "{store}/out", 2, 1, on_store=True),
    _recipe("recipe build on a store", "{store}/out", on_store=True),
)
_LOCAL = (
    Work("onboarding", ("onboard", "{place}/work/a.yaml", "--json"), "home/datasets/*"),
    Work("import", _IMPORT, "home/collections/*.parquet"),
    Work("version", _CREATE, "home/versions/*", prepare=(_IMPORT,)),
    _export("COCO"),
    _export("HDF5"),
    _export("Parquet"),
    Work(
        "release",
        ("release", "forests@1.0.0", "-o", "{place}/out/forests.tar.gz", "--json"),
        "out/*",
        prepare=(_IMPORT, _CREATE),
    ),
)
UPLOADS, BATCH = "uploads by the daemon", "batch by the daemon"
IN_BATCH = 5
"""Uploads; more than four share a process."""
WORKS = (
    _gedi("GEDI build", "{place}/out", 2, 1),
    _gedi("GEDI build, 2 processes", "{place}/out", 1, 2),
    _recipe("recipe build", "{place}/out"),
    *_ON_STORE,
    *_LOCAL,
    _by_daemon(UPLOADS, 2),
    _by_daemon(BATCH, IN_BATCH),
    _by_daemon(f"{UPLOADS}, PostgreSQL", 2, registry_on_postgres=True),
    _by_daemon(f"{BATCH}, PostgreSQL", IN_BATCH, registry_on_postgres=True),
    *(
        replace(work, name=f"{work.name.removesuffix(' on a store')}{HOME_ON_STORE}", home_on_store=True)
        for work in (*_ON_STORE, *_LOCAL, _by_daemon(UPLOADS, 2), _by_daemon(BATCH, IN_BATCH))
    ),
)


def make_served(folder: Path, archive: Path) -> None:
    """Fill the folders that are served.

    Args:
        folder: gets `gedi`, a link, and `others`.
        archive: a sample archive.
    """
    folder.mkdir()
    (folder / GEDI).symlink_to(archive.resolve())
    others = folder / OTHERS
    make_archive(others, [scene("sentinel-2-l2a", "S2A_one", "2021-06-10", grid(2400))])
    zip_of(others / "a.zip", pairs(5))
    shutil.copyfile(archive / "releases" / RELEASE, others / RELEASE)


def make_place(place: Path, url: str, home_address: str, uploads: int) -> None:
    """Make the folders of a trial, with settings that wait for seconds where a user's wait for minutes.

    Args:
        place: gets them.
        url: the server's address.
        home_address: where the home will be, which is made in the place.
        uploads: how many the inbox has.
    """
    home, work = place / "home", place / "work"
    for folder in (home, work, place / "tmp", place / "out"):
        folder.mkdir()
    (home / "intake.yaml").write_text("private_addresses: true\ntimeout_s: 1\nretries: 2\n")
    if uploads:
        daemon.fill_inbox(home / "inbox" / "uploads", uploads)
    settings = {
        "granules": f"{home_address}/inbox/granules",
        "output": f"{home_address}/output",
        "catalog_patience_s": 3,
    }
    (home / "build.yaml").write_text(yaml.safe_dump(settings))
    (work / "crops.yaml").write_text(RECIPE)
    count = len(PLACES)
    points_csv(
        work / "fields.csv",
        PLACES,
        surveyed=["2021-06-12"] * count,
        **{"yield": [row + 0.5 for row in range(count)]},
    )
    (work / "a.yaml").write_text(yaml.safe_dump({**MANIFEST, "dataset_url": f"{url}/a.zip"}))
