"""Shapes that are parts of one object."""

from types import SimpleNamespace

from factory_pipeline.datasets.exports.group_shapes import group_shapes


def shape(label: str, group: str | None = None, operation: str = "one") -> SimpleNamespace:
    """What decides the object of a shape."""
    return SimpleNamespace(label=label, group=group, operation=operation)


def test_parts_of_one_object_are_together_in_the_order_of_their_first():
    shapes = [
        shape("house", "a"),
        shape("tree"),
        shape("house", "a"),
        shape("house", "a", "two"),
        shape("tree"),
    ]
    grouped = group_shapes(SimpleNamespace(shapes=shapes))  # type: ignore[arg-type]
    numbers = {id(part): number for number, part in enumerate(shapes)}
    assert [[numbers[id(part)] for part in parts] for parts in grouped] == [[0, 2], [1], [3], [4]]
