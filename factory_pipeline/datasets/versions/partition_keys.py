"""The keys of versions: a person reads name and number, the factory the id."""

from factory_pipeline.storage.slug import slug


def version_key(dataset: str, number: str, version_id: str) -> str:
    """Such as `balloons-1.0.0@<id>`."""
    return f"{slug(dataset)}-{number}@{version_id}"


def version_of(key: str) -> str:
    """The id of the version that a key names."""
    return key.rpartition("@")[2]
