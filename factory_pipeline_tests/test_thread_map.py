"""Threads that don't run ahead, and whose results may be left half-way."""

import ast
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import factory_pipeline
from factory_pipeline.thread_map import map_in_threads


def test_answers_come_in_order_and_few_of_them_wait() -> None:
    taken = 0
    ahead = []

    def numbers():
        for number in range(100):
            ahead.append(number - taken)
            yield number

    for place, answer in enumerate(map_in_threads(lambda number: number * 2, numbers(), workers=3)):
        assert answer == 2 * place
        taken += 1
    assert taken == 100
    assert max(ahead) <= 2 * 3 + 1


def test_an_error_of_a_task_is_raised_in_its_turn() -> None:
    answers = map_in_threads(lambda number: 1 // number, [2, 1, 0, 1], workers=2)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(answers)


def test_what_reading_the_arguments_raises_is_raised_after_the_results_before_it_were_asked_for() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    answers = map_in_threads(lambda number: number, numbers(), workers=2)
    with pytest.raises(OSError, match="gone"):
        list(answers)
    assert list(answers) == []


def test_a_task_can_not_end_the_results_early() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(map_in_threads(lambda empty: next(empty), [iter(()), iter(())], workers=1))


def test_closing_waits_for_what_was_started_and_gives_no_more() -> None:
    ended = []

    def end(number: int) -> int:
        time.sleep(0.05 * number)
        ended.append(number)
        return number

    with closing(map_in_threads(end, range(9), workers=2)) as answers:
        assert next(answers) == 0
    seen = list(ended)
    assert 1 in seen
    assert list(answers) == []
    time.sleep(0.2)
    assert ended == seen


def test_results_that_were_left_are_collected_without_waiting_for_their_threads() -> None:
    go = threading.Event()
    answers = map_in_threads(lambda number: number or not go.wait(), [1, 0, 0, 0], workers=1)
    assert next(answers) == 1
    knot: list[object] = [answers]
    knot.append(knot)
    del answers, knot
    too_late = threading.Timer(20, go.set)
    too_late.start()
    gc.collect()
    waited = go.is_set()
    too_late.cancel()
    go.set()
    assert not waited


def test_no_generator_holds_threads_or_processes_that_it_would_join_when_it_is_collected() -> None:
    holding = [
        f"{path.name}: {function.name}"
        for path in Path(factory_pipeline.__file__).parent.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and _yields(function) and _starts_pool(function)
    ]
    assert holding == []


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(function):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from _own_nodes(node)


def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function))


def _starts_pool(function: ast.FunctionDef) -> bool:
    calls = (node.func for node in _own_nodes(function) if isinstance(node, ast.Call))
    return any(ast.unparse(call) in ("ThreadPoolExecutor", "WorkerPool") for call in calls)
