"""What all tests share: the marker `integration`, clean processes, a sample archive."""

import gc
import multiprocessing.process
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from factory_pipeline import web_retries
from factory_pipeline_tests.examples import ALL_EXAMPLES, FEW_EXAMPLES
from factory_pipeline_tests.made_once import made_once
from factory_pipeline_tests.synthetic.small import SMALL_PLAN

HERE = Path(__file__).parent
UNIT_TESTS = "not integration"
"""The choice of tests (`pytest -m`) of `make test-fast`."""

INTEGRATION_PATHS = (
    "orchestration",
    "runs",
    "sdk",
    "test_docs.py",
    "test_examples.py",
    "test_extras.py",
    "test_packaging.py",
)
"""Folders and files all of whose tests are integration tests; `make test-fast` does not even import them."""
MARKED = re.compile(r"^pytestmark = (?:\[\s*)?pytest\.mark\.integration\b", re.MULTILINE)
"""A module all of whose tests are integration tests; `make test-fast` does not import it either."""
INTEGRATION_FIXTURES = frozenset(
    {
        *("bench", "browser", "finished", "onboarded", "postgres", "real_archive", "small_archive"),
        # A registry, or what is kept in one.
        *("annotate", "lake", "lake_of_kinds", "registry", "studio", "where"),
    }
)
"""Fixtures that start a process, a server, a browser or a database, or do many seconds of work."""

HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
"""Of signals, before there was a test."""

MAY_SKIP = (
    "this user may not mount a small disk",
    "needs two cores",
    "FACTORY_REALDATA",  # only where it is unset
    "the extra `fields`",  # PyTorch takes gigabytes
)
"""Reasons to skip a test that hold also where FACTORY_REQUIRE_SYSTEM=1 says that everything is installed."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return how many processes `-n auto` starts: one more than there are processors for the whole suite.

    A quarter of its time is waiting for processes and servers; unit tests (None: xdist decides) never wait.
    """
    if config.getoption("markexpr") == UNIT_TESTS:
        return None
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else None


def pytest_configure(config: pytest.Config) -> None:
    """Forget the home and the registry that a developer works with: no test may touch them."""
    # A busy machine must not fail a test: no time limit for an example.
    hypothesis.settings.register_profile(ALL_EXAMPLES, deadline=None, max_examples=50)
    hypothesis.settings.register_profile(FEW_EXAMPLES, deadline=None, max_examples=5)
    is_fast = config.getoption("markexpr") == UNIT_TESTS
    hypothesis.settings.load_profile(FEW_EXAMPLES if is_fast else ALL_EXAMPLES)
    for name in ("DAGSTER_HOME", "FACTORY_HOME", "FACTORY_REGISTRY"):
        os.environ.pop(name, None)
    # Where it is set, each process that a test starts compiles the whole package again, which takes seconds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, not imported, what `-m "not integration"` would deselect as a whole."""
    if config.getoption("markexpr") == UNIT_TESTS and (
        _is_integration(collection_path) or _is_marked(collection_path)
    ):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as `integration` by where they are and by the fixtures that they ask for."""
    for item in items:
        fixtures = INTEGRATION_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        if fixtures or _is_integration(item.path):
            item.add_marker(pytest.mark.integration)


def _is_marked(path: Path) -> bool:
    """Return whether a module marks all its tests."""
    return path.suffix == ".py" and MARKED.search(path.read_text(encoding="utf-8")) is not None


def pytest_collection_finish() -> None:
    """Have the garbage collector look at what tests make, not at all that was imported: a tenth less CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _is_integration(path: Path) -> bool:
    return path.is_relative_to(HERE) and path.relative_to(HERE).parts[:1] in {(p,) for p in INTEGRATION_PATHS}


# Nothing is skipped where everything is installed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Fail a test that skips itself though FACTORY_REQUIRE_SYSTEM=1 says that nothing is missing."""
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """The same for a module that skips itself while it is imported."""
    report = yield
    refuse_skip(report)
    return report


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip for a reason that is not allowed into a failure."""
    if os.environ.get("FACTORY_REQUIRE_SYSTEM") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(allowed in reason for allowed in MAY_SKIP):
        report.outcome = "failed"
        report.longrepr = f"{reason}: with FACTORY_REQUIRE_SYSTEM=1 no test may be skipped for this"


# Unit tests start nothing

STARTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "socket.bind"}
)
"""Audit events of Python that tell that a process or a server is started."""


class _Guard:
    """Refuses processes and servers while a unit test runs."""

    test: str | None = None

    def refuse(self, what: str) -> None:
        # Threads may be those of servers of earlier tests.
        if self.test is not None and threading.current_thread() is threading.main_thread():
            pytest.fail(f"{self.test} is not marked `integration` but starts something: {what}")


guard = _Guard()
sys.addaudithook(lambda event, _: guard.refuse(event) if event in STARTS else None)


# What each test would make anew is copied


@pytest.fixture(autouse=True, scope="session")
def copied_tables(pytestconfig: pytest.Config) -> Iterator[None]:
    """Copy the tables of new homes from those of one; processes that tests start make their own.

    Unit tests make no Dagster instance.
    """
    from factory_pipeline_tests.datalake.registry.copied import copied_registries, kept_migrations

    with kept_migrations(), copied_registries():
        if pytestconfig.getoption("markexpr") == UNIT_TESTS:
            yield
            return
        from factory_pipeline_tests.runs.copied import copied_instances

        with copied_instances():
            yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Guard each test of `make test-fast` from the setup of its fixtures on until they are taken down."""
    guard.test = item.nodeid if item.config.getoption("markexpr") == UNIT_TESTS else None
    start = multiprocessing.process.BaseProcess.start

    def guarded(process: multiprocessing.process.BaseProcess) -> None:
        guard.refuse("multiprocessing")
        start(process)

    multiprocessing.process.BaseProcess.start = guarded
    try:
        return (yield)
    finally:
        multiprocessing.process.BaseProcess.start = start
        guard.test = None


# No test sees what another one left


def _restore_handlers() -> None:
    """Take back that Dagster maps SIGTERM to SIGINT where a test or a fixture has it execute a job."""
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def clean_process() -> Iterator[None]:
    """Take back what a test did to its process: variables, folder, signals, hosts waited for in vain.

    What session and module fixtures set stays, except for signals. Filters of warnings are restored by pytest
    itself.
    """
    environment, folder = dict(os.environ), Path.cwd()
    _restore_handlers()
    web_retries._given_up.clear()
    yield
    web_retries._given_up.clear()
    os.chdir(folder)
    _restore_handlers()
    for name in os.environ.keys() - environment.keys() - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"})


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample archive, made once per test run; tests must not write into it."""
    from factory_pipeline.synthetic.archive import make_archive  # imports much that unit tests do not need

    return made_once(
        tmp_path_factory, "small-archive", lambda root: make_archive(root, plan=SMALL_PLAN, workers=1)
    )


@pytest.fixture(scope="session")
def real_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample archive around one beam each of two real granules; they lie in another place than the plan's.

    Made once per test run; tests must not write into it. `summary.txt` beside it is what its maker told.
    """
    from factory_pipeline.synthetic.archive import make_archive
    from factory_pipeline_tests.builds.gedi.factories import copy_beam

    realdata = os.environ.get("FACTORY_REALDATA")
    if not realdata:
        pytest.skip("FACTORY_REALDATA names no folder of real data")
    granules = sorted((Path(realdata) / "gedi_l4a").glob("*.h5"))

    def make(root: Path) -> None:
        for granule, beam in zip(granules, ("BEAM1011", "BEAM0101"), strict=True):
            copy_beam(granule, root / "given" / granule.name, beam)
        summary = make_archive(root / "archive", granules=root / "given", workers=1)
        (root / "summary.txt").write_text(str(summary), encoding="utf-8")

    return made_once(tmp_path_factory, "real-archive", make) / "archive"
