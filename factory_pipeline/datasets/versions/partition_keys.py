"""The partition keys of versions: name and number for people, the id for programs."""

from factory_pipeline.storage.slug import slug


def version_key(dataset: str, number: str, version_id: str) -> str:
    """Return a key such as `balloons-1.0.0@<id>`.

    Args:
        dataset: name of the dataset; made a slug.
        number: such as `1.0.0`.
        version_id: the full id, which makes the key unique.
    """
    return f"{slug(dataset)}-{number}@{version_id}"


def version_of(key: str) -> str:
    """Return the id of the version of a key."""
    return key.rpartition("@")[2]
