"""Tasks beside the ticks of a sensor."""

import threading

from factory_pipeline.orchestration.background_tasks import BackgroundTasks

LONG = 60.0


def test_a_task_is_waited_for_at_the_first_tick_alone_and_holds_up_no_other() -> None:
    tasks: BackgroundTasks[str, int] = BackgroundTasks(2, "test")
    go_on = threading.Event()
    calls: list[str] = []

    def slow() -> int:
        calls.append("slow")
        go_on.wait()
        return 1

    late = threading.Timer(LONG / 2, go_on.set)
    late.start()
    try:
        assert tasks.poll({"slow": slow}, 0.05) == {}
        assert "slow" in tasks
        # Who waited for the slow task again would get it as well.
        found = tasks.poll({"slow": slow, "quick": lambda: 2}, LONG)
        assert {key: task.result() for key, task in found.items()} == {"quick": 2}
        assert tasks.poll({"slow": slow}, LONG) == {}
    finally:
        late.cancel()
        go_on.set()
    while not (found := tasks.poll({"slow": slow}, LONG)):
        pass
    assert {key: task.result() for key, task in found.items()} == {"slow": 1}
    assert "slow" not in tasks
    assert calls == ["slow"]
