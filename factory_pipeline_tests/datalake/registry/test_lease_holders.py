"""Processes that are known to be dead, and those of which nothing is known."""

import os
import subprocess
import sys

import pytest

from factory_pipeline.datalake.registry.lease_holders import is_known_dead, shown, this_process
from factory_pipeline.storage import process_identity

pytestmark = pytest.mark.integration


def test_this_process_is_alive_and_shown_by_host_and_id() -> None:
    assert not is_known_dead(this_process())
    assert shown(this_process()).endswith(f":{os.getpid()}")
    assert shown("host:12") == "host:12"


def test_a_process_that_ended_is_dead_even_before_anybody_waited_for_it() -> None:
    program = (
        "from factory_pipeline.datalake.registry.lease_holders import this_process\n"
        "print(this_process(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not is_known_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_known_dead(name)
    assert is_known_dead(name)


def test_another_process_of_the_same_id_is_another_one() -> None:
    base, _, started = this_process().rpartition("-")
    assert is_known_dead(f"{base}-{int(started) - 1}")


def test_nothing_is_known_of_other_machines_boots_and_containers_and_of_old_names() -> None:
    host, pid, identity = this_process().split(":")
    boot, namespace, started = identity.split("-")
    for name in (
        f"elsewhere:{pid}:{boot}-{namespace}-0",
        f"{host}:{pid}:{boot[::-1]}x-{namespace}-0",
        f"{host}:{pid}:{boot}-{namespace}0-0",
        f"{host}:{pid}",
    ):
        assert not is_known_dead(name)
    assert started


def test_where_the_system_tells_nothing_only_leases_count(monkeypatch: pytest.MonkeyPatch) -> None:
    name = this_process()
    monkeypatch.setattr(process_identity, "_BOOT", process_identity._BOOT.with_name("no such file"))
    assert this_process() == shown(name)
    assert not is_known_dead(f"{shown(name)}:{name.split(':')[2][:-1]}")
