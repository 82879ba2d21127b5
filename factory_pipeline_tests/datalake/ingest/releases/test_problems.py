"""The error of a release names its wrong files."""

from factory_pipeline.datalake.ingest.releases.problems import MOST_NAMED, Problem, refuse


def test_files_are_named_once_each_in_order_with_the_code_of_the_first() -> None:
    problems = [Problem("b.json", "is not JSON"), Problem("a.tif", "is truncated", "ARCHIVE_CORRUPT")]
    error = refuse("r.tar.gz", problems + problems)
    assert error.code == "ARCHIVE_CORRUPT"
    assert str(error) == (
        "The release r.tar.gz can't be imported: a.tif is truncated; b.json is not JSON."
        " Mend them, or import the others with --skip-invalid."
    )


def test_of_many_files_the_first_are_named_and_the_others_counted() -> None:
    problems = [Problem(f"{number:04d}.tif", "is truncated") for number in range(MOST_NAMED + 1200)]
    error = refuse("r.tar.gz", problems, skippable=False)
    assert f"{MOST_NAMED - 1:04d}.tif is truncated; and 1,200 more." in str(error)
    assert f"{MOST_NAMED:04d}.tif" not in str(error)
    assert "--skip-invalid" not in str(error)
