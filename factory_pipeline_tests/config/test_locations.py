from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from factory_pipeline.config.locations import Location


class Settings(BaseModel):
    output: Location


@pytest.mark.parametrize("written", ["/data/out", "s3://bucket/out", "az://container/a/b"])
def test_a_location_is_written_as_it_was_read(written: str):
    settings = Settings.model_validate({"output": written})
    assert isinstance(settings.output, Path)
    assert settings.model_dump(mode="json") == {"output": written}
    assert Settings(output=settings.output).output is settings.output
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_what_is_no_text_is_refused():
    with pytest.raises(ValidationError):
        Settings.model_validate({"output": 3})
