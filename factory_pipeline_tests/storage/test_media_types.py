"""Media types, against those that Python knows."""

import mimetypes

from factory_pipeline.storage.media_types import MEDIA_TYPES


def test_the_types_are_those_that_python_knows() -> None:
    # A new object does not read the files of the system, which differ.
    known = mimetypes.MimeTypes().types_map[True]
    common = MEDIA_TYPES.keys() & known.keys()
    assert len(common) >= 8
    assert {ending: MEDIA_TYPES[ending].partition(";")[0] for ending in common} == {
        ending: known[ending] for ending in common
    }
