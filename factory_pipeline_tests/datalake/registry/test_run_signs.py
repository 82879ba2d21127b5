"""Signs of life of runs: who works is alive, who is silent or gone is not."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from factory_pipeline.datalake.registry import run_signs
from factory_pipeline.datalake.registry.lease_holders import this_process
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.registry.run_signs import LAPSE_S, RunSign
from factory_pipeline.datalake.registry.schema import run_signs as table
from factory_pipeline_tests.datalake.registry.factories import wait_for

RUN = "8f0e2c1d"
ELSEWHERE = "another-host:7:boot-1-2"


def change(registry: Registry, **values: object) -> None:
    with registry._change() as connection:
        connection.execute(sa.update(table).values(**values))


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_a_run_shows_a_sign_inside_the_block_alone(registry: Registry) -> None:
    assert registry.run_sign(RUN) is None
    with registry.shown_alive(RUN), registry.shown_alive("another"):
        sign = registry.run_sign(RUN)
        assert sign is not None
        assert sign.holder == this_process()
        assert registry.run_holders() == {RUN: this_process(), "another": this_process()}
        assert not sign.is_dead
    assert registry.run_sign(RUN) is None
    with pytest.raises(ZeroDivisionError), registry.shown_alive(RUN):
        raise ZeroDivisionError
    assert registry.run_sign(RUN) is None


def test_a_process_elsewhere_is_dead_once_it_has_been_silent(registry: Registry) -> None:
    with registry.shown_alive(RUN):
        for silent, is_dead in ((LAPSE_S - 15, False), (LAPSE_S + 15, True), (-3600.0, False)):
            change(registry, holder=ELSEWHERE, seen=ago(silent))
            sign = registry.run_sign(RUN)
            assert sign is not None
            assert sign.silent_s == pytest.approx(silent, abs=10)
            assert sign.is_dead is is_dead


def test_a_dead_process_of_this_machine_is_known_at_once() -> None:
    host, pid, identity = this_process().split(":")
    assert RunSign(f"{host}:{pid}:{identity.rpartition('-')[0]}-1", silent_s=0.0).is_dead
    assert not RunSign(this_process(), silent_s=0.0).is_dead


def test_the_sign_is_renewed_while_the_block_lasts(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_signs, "BEAT_S", 0.01)
    with registry.shown_alive(RUN):
        change(registry, seen=ago(LAPSE_S + 60))

        def is_renewed() -> bool:
            sign = registry.run_sign(RUN)
            return sign is not None and not sign.is_dead

        wait_for(is_renewed)


def test_who_takes_a_run_over_keeps_its_sign(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_signs, "BEAT_S", 0.01)
    with registry.shown_alive(RUN):
        change(registry, holder=ELSEWHERE, seen=ago(LAPSE_S + 60))
        threading.Event().wait(0.1)
        sign = registry.run_sign(RUN)
        assert sign is not None
        assert sign.is_dead, "the former holder does not speak for the new one"
    assert registry.run_sign(RUN) is not None
    registry.forget_run(RUN)
    assert registry.run_sign(RUN) is None
