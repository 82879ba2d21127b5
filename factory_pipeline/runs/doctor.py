"""Checks of an installation: what works, what does not, and what to do about it."""

import importlib.metadata
import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from factory_pipeline.datalake.registry.database import Database
from factory_pipeline.errors import FactoryError, describe_os_error
from factory_pipeline.extras import extras_named
from factory_pipeline.plain_text import count_noun
from factory_pipeline.runs.doctor_store import check_store, check_store_clock
from factory_pipeline.runs.finding import Finding, Status, compare_clocks
from factory_pipeline.runs.instance import open_instance
from factory_pipeline.stac.providers import open_catalog
from factory_pipeline.storage.atomic import atomic_write, is_held, open_locked, working_path
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.version import __version__

GB = 1e9
LEAST_FREE_GB = 1.0
"""Less free space than this fails the check."""
USUAL_FREE_GB = 10.0
"""Less free space than this is a warning: a build of 100,000 footprints writes about 5 GB."""
CATALOG_WAIT_S = 10.0
MAX_DAEMON_NAMES = 3


def examine_installation(
    home: FactoryHome, *, catalog: str = "", host: str = "127.0.0.1", ports: Sequence[int] = ()
) -> list[Finding]:
    """Check versions, the home's file system or store, its databases, the daemon, ports and a catalog.

    Nothing is created but a temporary folder, in the home or, if it does not exist, in the nearest folder
    above it that does; of a home on an object store, in the scratch folder, and objects for a moment.

    Args:
        home: to be checked; it need not exist.
        catalog: a provider's name, a URL or a path; empty to check no catalog.
        host: where the web servers listen.
        ports: of the web servers.

    Returns:
        One finding per check, in a fixed order.
    """
    folder = nearest_existing(working_path(home.root))
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("versions", check_versions),
        ("home", lambda: check_home(home)),
        ("writing", lambda: check_writing(folder)),
        ("file locks", lambda: check_locks(folder)),
        ("clock", lambda: check_store_clock(home) if home.is_remote else check_clock(folder)),
        ("disk space", lambda: check_disk_space(folder)),
        ("registry", lambda: check_registry(home)),
        ("run history", lambda: check_run_history(home)),
        ("daemon", lambda: check_daemon(home)),
        *((f"port {port}", lambda port=port: check_port(host, port)) for port in ports),
    ]
    if home.is_remote:
        checks.append(("store", lambda: check_store(home)))
    if catalog:
        checks.append(("catalog", lambda: check_catalog(catalog)))
    return [_run(name, check) for name, check in checks]


def _run(name: str, check: Callable[[], Finding]) -> Finding:
    """Run a check; what it raises is its finding, so that the other checks still run."""
    try:
        with extras_named():
            return check()
    except FactoryError as error:
        return Finding(name, "failed", str(error))
    except OSError as error:
        return Finding(name, "failed", describe_os_error(error))


def nearest_existing(folder: Path) -> Path:
    """Return a folder, or the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def check_versions() -> Finding:
    """Dagster and its libraries are released together and only fit each other."""
    core = importlib.metadata.version("dagster")
    library = f"0.{int(core.split('.')[1]) + 16}.{core.split('.')[2]}"
    expected = {
        **dict.fromkeys(("dagster-webserver", "dagster-graphql", "dagster-pipes"), core),
        "dagster-postgres": library,
    }
    wrong = [
        f"{name} {installed} (expected {version})"
        for name, version in expected.items()
        if (installed := _installed_version(name)) not in (None, version)
    ]
    detail = f"factory-pipeline {__version__}, Python {sys.version.split()[0]}, dagster {core}"
    if wrong:
        return Finding(
            "versions",
            "failed",
            f"{detail}, but {', '.join(wrong)}.",
            "Install them together: pip install --upgrade 'factory-pipeline[all]'.",
        )
    return Finding("versions", "ok", f"{detail}.")


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_home(home: FactoryHome) -> Finding:
    """Check that the home is a folder, or does not exist yet."""
    home.require_folder()
    if home.root.exists():
        return Finding("home", "ok", f"The factory home is {home.root}.")
    return Finding(
        "home",
        "warning",
        f"The factory home {home.root} does not exist.",
        "Set FACTORY_HOME to an existing one, or create one, for example by factory demo.",
    )


def check_writing(folder: Path) -> Finding:
    """Check that a file can be published: written under another name, synchronised, renamed."""
    with TemporaryDirectory(prefix=".doctor-", dir=folder) as temporary:
        path = Path(temporary) / "published"
        for content in (b"first", b"second"):
            with atomic_write(path) as unfinished:
                unfinished.write_bytes(content)
        if path.read_bytes() != b"second":
            return Finding("writing", "failed", f"{folder} returned other bytes than were written.")
    return Finding("writing", "ok", f"Files in {folder} can be written and replaced atomically.")


def check_locks(folder: Path) -> Finding:
    """Check that a lock that is held is seen as held, which some network file systems do not do."""
    with TemporaryDirectory(prefix=".doctor-", dir=folder) as temporary:
        lock = Path(temporary) / "lock"
        with open_locked(lock):
            held = is_held(lock)
        if held and not is_held(lock):
            return Finding("file locks", "ok", f"File locks work in {folder}.")
    return Finding(
        "file locks",
        "failed",
        f"File locks do not work in {folder}.",
        "Use a local disk, or mount the network file system with locks (for NFS without nolock).",
    )


def check_clock(folder: Path) -> Finding:
    """Check that the file system's times agree with this machine's clock."""
    with TemporaryDirectory(prefix=".doctor-", dir=folder) as temporary:
        path = Path(temporary) / "clock"
        path.touch()
        return compare_clocks(f"files in {folder}", "file system", path.stat().st_mtime - time.time())


def check_disk_space(folder: Path) -> Finding:
    """There is room for datasets."""
    free = shutil.disk_usage(folder).free / GB
    status: Status = "failed" if free < LEAST_FREE_GB else "warning" if free < USUAL_FREE_GB else "ok"
    return Finding(
        "disk space",
        status,
        f"{free:.1f} GB are free in {folder}.",
        "" if status == "ok" else "Delete old versions by factory dataset delete, or move the home.",
    )


def check_registry(home: FactoryHome) -> Finding:
    """Check that the registry's database can be reached and has this version's tables."""
    where = home.registry_address
    if isinstance(where, Path) and not where.exists():
        return Finding("registry", "ok", "There is no registry yet; the first dataset creates it.")
    with_tables, shown = Database.is_migrated(where)
    if with_tables:
        return Finding("registry", "ok", f"The registry {shown} has the tables of this version.")
    return Finding(
        "registry",
        "warning",
        f"The registry {shown} has the tables of an earlier version.",
        "The next command that uses it, such as factory datasets, upgrades it; make a copy first.",
    )


def check_run_history(home: FactoryHome) -> Finding:
    """Dagster's run history can be read."""
    if not home.dagster_ready.exists():
        return Finding("run history", "ok", "There is no run history yet; the first run creates it.")
    with open_instance(home) as instance:
        runs = instance.get_runs_count()
    return Finding("run history", "ok", f"The run history has {count_noun(runs, 'run')}.")


def check_daemon(home: FactoryHome) -> Finding:
    """Check that the daemon, which watches the inbox and starts runs, reports that it is alive."""
    advice = "Start it by factory ui; without it the inbox is not watched."
    if not home.dagster_ready.exists():
        return Finding("daemon", "warning", "The daemon has never run in this home.", advice)
    with open_instance(home) as instance:
        statuses = instance.get_daemon_statuses()
    late = [name for name, status in statuses.items() if status.required and not status.healthy]
    if late:
        names = ", ".join(name.lower() for name in late[:MAX_DAEMON_NAMES])
        return Finding("daemon", "warning", f"The daemon does not run (no sign of life of {names}).", advice)
    return Finding("daemon", "ok", "The daemon runs.")


def check_port(host: str, port: int) -> Finding:
    """Check that a web server can listen on a port, or one does already.

    Args:
        host: name or IPv4 or IPv6 address to listen on.
        port: 1 to 65535.
    """
    name = f"port {port}"
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return Finding(name, "ok", f"Port {port} of {host} is free.")
    except OSError:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
            client.settimeout(1.0)
            used = client.connect_ex((host, port)) == 0
    if used:
        return Finding(
            name,
            "warning",
            f"Port {port} of {host} is in use.",
            "If that is not factory ui, choose another port by factory ui --port.",
        )
    return Finding(name, "failed", f"Nothing can listen on port {port} of {host}.", "Choose another --port.")


def check_catalog(catalog: str) -> Finding:
    """Check that a catalog answers and has the collections that a GEDI build reads."""
    open_catalog(catalog, CATALOG_WAIT_S).probe()
    return Finding("catalog", "ok", f"The catalog {catalog} answers and has the collections.")
