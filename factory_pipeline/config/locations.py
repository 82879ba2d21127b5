"""The type of settings that name a file or folder, which may be on an object store."""

from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from factory_pipeline.storage.stored_path import to_path


def _to_path(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError("it is not a path")
    return to_path(value)


Location = Annotated[Path, PlainValidator(_to_path), PlainSerializer(str, return_type=str, when_used="json")]
"""A path, or the path of an address such as `s3://bucket/folder`; written as a text it is that again."""
