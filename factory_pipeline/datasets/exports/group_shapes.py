"""The objects of an image: grouping shapes that are parts of one, such as a house behind a tree."""

from factory_pipeline.datasets.model.sample import Sample, Shape


def group_shapes(sample: Sample) -> list[list[Shape]]:
    """Return the shapes of a sample, grouped by object, in the order of their first parts.

    Parts of one object are of one label and operation and have the same `group` in their metadata.
    """
    objects: dict[object, list[Shape]] = {}
    for position, shape in enumerate(sample.shapes):
        key = position if shape.group is None else (shape.operation, shape.label, shape.group)
        objects.setdefault(key, []).append(shape)
    return list(objects.values())
