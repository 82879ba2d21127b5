"""Ids of STAC items in a dataset file: as many as fit, and how many more there are."""

from factory_pipeline.hdf5.recipe_fields import COMPOSITE_LENGTH, _shorten_items


def test_ids_that_fit_are_kept_as_they_are() -> None:
    text = ";".join(f"S2A_{number:04d}" for number in range(100))
    assert _shorten_items(text, COMPOSITE_LENGTH) == text


def test_of_more_ids_the_last_are_counted() -> None:
    ids = [f"S2A_MSIL2A_20210101T100000_R022_T32TQR_20210101T{number:06d}" for number in range(120)]
    shortened = _shorten_items(";".join(ids), COMPOSITE_LENGTH)
    assert len(shortened) <= COMPOSITE_LENGTH
    *kept, more = shortened.split(";")
    assert kept == ids[: len(kept)]
    assert more == f"+{120 - len(kept)} more"
    assert len(kept) > 30
