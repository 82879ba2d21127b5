"""The pictures that a page holds: as many as its budget allows, evenly spread."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.onboarding.page.preview import preview
from factory_pipeline.splits.assign import random_split
from factory_pipeline_tests.onboarding.curated import onboarded
from factory_pipeline_tests.onboarding.page.pages import SHARES, parameters_of

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("budget", "size"), [(2_000, 64), (250_000, 200)])
def test_pictures_stay_within_the_budget(tmp_path: Path, budget: int, size: int) -> None:
    curated = onboarded(tmp_path, 12, modalities=("S2", "S1"), size=size)
    split = random_split(curated.items, SHARES, 0)
    shown = preview(
        curated.items.lazy(), split, curated.manifest, parameters_of(curated, split), tmp_path, budget
    )
    size = sum(len(uri) for pair in shown["pairs"] for uri in pair["pictures"].values())
    assert size < budget * 4 / 3 + 60 * len(shown["pairs"]) * len(shown["layers"])
    # 250 kB hold all pairs, if shrunk; 2 kB hold none.
    assert len(shown["pairs"]) == (12 if budget == 250_000 else 0)


def test_many_images_are_previewed_evenly(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 4, size=8)
    many = pl.concat([curated.items] * 25).with_columns(
        pl.format("m{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(4)).alias("stem")
    )
    split = many.select("stem", pl.lit("train").alias("split"))
    parameters = parameters_of(curated, random_split(curated.items, SHARES, 0))
    shown = preview(many.lazy(), split, curated.manifest, parameters, tmp_path)
    stems = [pair["stem"] for pair in shown["pairs"]]
    assert len(stems) == 48
    assert (stems[0], stems[-1]) == ("m0000", "m0099")
