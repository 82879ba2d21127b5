"""No page is heavier than 300 kB before its pictures: its text, its scripts and its style together."""

import re

import numpy as np
import polars as pl
import pytest

from factory_pipeline.onboarding.page.charts import MOST_FOOTPRINTS, corner_map
from factory_pipeline.web.studio.context import Studio, environment
from factory_pipeline_tests.web.studio.test_start_page import LARGEST_PAGE, register
from factory_pipeline_tests.web.studio.visitor import Visitor

ROOM = 40_000
"""Bytes that the other parts of a page with a map may have."""


def weight(visitor: Visitor, page: str) -> int:
    """Return the bytes of a page with all that it loads but pictures."""
    loaded = re.findall(r'(?:src|rel="stylesheet" href)="(/static/[^"]+\.(?:js|css))"', page)
    assert len(loaded) == 5
    return len(page.encode()) + sum(len(visitor.get(address).content) for address in loaded)


def test_the_start_page_of_a_thousand_datasets(studio: Studio, visitor: Visitor) -> None:
    register(studio, 1000)
    assert weight(visitor, visitor.page("/")) < LARGEST_PAGE


@pytest.mark.parametrize("count", [MOST_FOOTPRINTS, 20_000])
def test_a_page_with_a_map_of_images_all_over_the_world(visitor: Visitor, count: int) -> None:
    random = np.random.default_rng(0)
    south_west = random.uniform((-179, -80), (170, 80), (count, 2))
    corners = south_west[:, None] + np.array([(0, 5), (5, 5), (5, 0), (0, 0)])
    named = pl.DataFrame(
        {
            "original_name": [f"a_rather_long_name_of_an_image_{number:05}" for number in range(count)],
            "split": random.choice(["train", "test", "validation"], count),
        }
    )
    drawn = environment().get_template("page/map.html").render(map=corner_map(corners, named), counts=[])
    bare = weight(visitor, visitor.page("/lake"))
    assert bare + len(drawn.encode()) + ROOM < LARGEST_PAGE
