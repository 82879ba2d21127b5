"""Ctrl-C: one sentence that says what stays, and how to go on."""

import os
import signal
import time

import click
import pytest

from factory_pipeline.cli import main

SENTENCE = "Interrupted. Finished batches stay; run the command again to go on."


def ended_by(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """What a command that is ended by an error says, and its exit code."""

    @click.command("ended")
    def ended() -> None:
        raise error

    main.cli.add_command(ended)
    try:
        with pytest.raises(SystemExit) as exit_code:
            main.main(["ended"])
    finally:
        del main.cli.commands["ended"]
    return exit_code.value.code, capsys.readouterr().err.strip()


def test_ctrl_c_says_that_finished_batches_stay(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_by(KeyboardInterrupt(), capsys) == (130, SENTENCE)


def test_a_question_that_is_left_open_is_something_else(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = ended_by(click.Abort(), capsys)
    assert (code, told) == (130, "Nothing was done: the question was not answered.")


@pytest.mark.integration
def test_an_interrupted_run_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's own error for it is known to nobody above."""
    import dagster as dg
    from dagster._core.errors import DagsterExecutionInterruptedError

    from factory_pipeline.definitions import defs
    from factory_pipeline.runs.instance import execute_job

    def interrupt(*_: object, **__: object) -> None:
        raise DagsterExecutionInterruptedError

    monkeypatch.setattr(dg.JobDefinition, "execute_in_process", interrupt)
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(KeyboardInterrupt):
        execute_job(defs.resolve_implicit_global_asset_job_def(), instance, {})


@pytest.mark.integration
def test_an_interrupt_in_a_destructor_ends_the_run_too(capfd: pytest.CaptureFixture[str]) -> None:
    """Python prints and ignores an exception raised there; the run would go on to its end."""
    import dagster as dg

    from factory_pipeline.runs.instance import execute_job

    class InterruptedInItsDestructor:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)  # The handler raises here.

    went_on = []

    @dg.op
    def long_work() -> None:
        doomed = InterruptedInItsDestructor()
        del doomed
        went_on.append("after the destructor")
        time.sleep(20)
        went_on.append("to its end")

    @dg.job
    def interrupted_job() -> None:
        long_work()

    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(KeyboardInterrupt):
        execute_job(interrupted_job, instance, {})
    assert went_on == ["after the destructor"]
    assert capfd.readouterr().err == ""
