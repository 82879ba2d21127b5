"""The overpasses of the demo."""

from factory_pipeline.synthetic.plan import DEMO_PLAN, GRANULE_VISITS


def test_the_demo_has_cases_that_a_build_must_decide():
    overpasses = DEMO_PLAN.overpasses
    assert len({overpass.orbit for overpass in overpasses}) == len(overpasses)
    assert {overpass.ascending for overpass in overpasses} == {True, False}
    visits = [visit for overpass in overpasses for visit in overpass.visits]
    assert {visit.baseline for visit in visits} >= {"03.00", "05.00"}, "with and without an offset"
    assert any(visit.lacks for visit in visits)
    assert all(len(overpass.visits) == 2 for overpass in overpasses)
    assert all(len(visits) == 2 for visits in GRANULE_VISITS)
