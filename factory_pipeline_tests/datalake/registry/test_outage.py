import psycopg
import pytest
import sqlalchemy as sa

from factory_pipeline.datalake.registry.outage import describe_outage, describe_outage_in

BAD = "connection is bad: No such file or directory\n\tIs the server running locally?"
SENTENCE = (
    "The database of the factory home can't be used: "
    "connection is bad: No such file or directory Is the server running locally?"
)


def raised(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except Exception as told:
        return told


@pytest.mark.parametrize("kind", [psycopg.OperationalError, psycopg.errors.AdminShutdown])
def test_an_outage_is_one_sentence_whoever_tells_it(kind: type[psycopg.Error]) -> None:
    by_driver = kind(BAD)
    by_library = sa.exc.OperationalError("SELECT 'secret'", {}, by_driver)
    after_tries = raised(RuntimeError("too many retries for DB connection"), by_library)
    assert {describe_outage(error) for error in (by_driver, by_library, after_tries)} == {SENTENCE}


def test_an_outage_is_known_by_the_words_of_a_recorded_error() -> None:
    assert describe_outage_in(f"psycopg2.OperationalError: {BAD}") == SENTENCE
    wrapped = f"sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) {BAD}\n[SQL: SELECT 'secret']"
    assert describe_outage_in(wrapped) == SENTENCE


def test_another_error_is_no_outage() -> None:
    wrong = sa.exc.ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable("relation does not exist"))
    assert describe_outage(wrong) is None
    assert describe_outage(raised(ValueError("wrong"), KeyError("key"))) is None
