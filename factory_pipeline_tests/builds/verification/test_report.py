"""The outcome of a verification, for people and for scripts."""

from factory_pipeline.builds.verification.report import VerificationReport, VerifiedSubject

GOOD = VerifiedSubject("sample 1")
WRONG = VerifiedSubject("sample 2", differences=("the altitude differs.",))
UNKNOWN = VerifiedSubject("sample 3", unreadable=("a.tif is away.",))


def report(*results: VerifiedSubject) -> VerificationReport:
    return VerificationReport("out", "build", "samples", 12_000, results, ("A note.",))


def test_it_passes_where_all_could_be_compared_and_nothing_differs() -> None:
    assert report(GOOD, GOOD).passed
    assert report().passed
    assert not report(GOOD, WRONG).passed
    assert not report(GOOD, UNKNOWN).passed, "what can't be read was not verified"


def test_people_read_each_subject_and_the_outcome() -> None:
    lines = str(report(GOOD, WRONG, UNKNOWN)).splitlines()
    assert lines == [
        "ok    sample 1",
        "FAIL  sample 2",
        "        the altitude differs.",
        "FAIL  sample 3",
        "        a.tif is away.",
        "A note.",
        "out: 3 of 12,000 samples verified; 2 of them failed.",
    ]
    assert str(report(GOOD)).endswith("1 of 12,000 samples verified; nothing differs.")


def test_scripts_read_counts_and_sentences() -> None:
    found = report(GOOD, WRONG).to_json()
    assert {key: found[key] for key in ("passed", "total", "checked", "failed")} == {
        "passed": False,
        "total": 12_000,
        "checked": 2,
        "failed": 1,
    }
    assert found["results"][1] == {
        "name": "sample 2",
        "passed": False,
        "differences": ["the altitude differs."],
        "unreadable": [],
    }
