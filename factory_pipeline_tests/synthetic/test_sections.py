"""Sections of tissue: moved by known shifts."""

import numpy as np

from factory_pipeline.synthetic.sections import LONGEST_SHIFT, SectionPlan, Sections

PLAN = SectionPlan(shape=(64, 48), sections=6)


def test_sections_depend_on_the_seed_alone():
    one, again, other = (
        Sections(plan).image(1) for plan in (PLAN, PLAN, SectionPlan(PLAN.shape, PLAN.sections, seed=15))
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_coarse_field_undoes_the_shift():
    sections = Sections(PLAN)
    shift = sections.shift(2)
    assert max(map(abs, shift)) <= LONGEST_SHIFT
    assert sections.coarse_field(2)[:, 3, 4].tolist() == [-shift[0], -shift[1]]
    rest = sections.displacement(2) + sections.coarse_field(2)
    assert np.abs(rest).max() <= np.abs(sections.displacement(2)).max() + LONGEST_SHIFT


def test_the_last_section_is_lost_and_spots_are_bright():
    sections = Sections(PLAN)
    assert sections.is_lost(5)
    assert not sections.image(5).any()
    spot = sections.defects(1)
    assert spot.any()
    assert (sections.image(1)[spot] == 235).all()
