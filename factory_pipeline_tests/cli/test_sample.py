"""`factory sample` says which options go together before anything is made."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from factory_pipeline.cli.main import cli


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--volume"], "--volume makes only a volume"),
        (["--dataset", "crops"], "go with the GEDI dataset; remove --dataset"),
        ([], "has an archive; --gedi-product is for a new one"),
    ],
)
def test_products_are_made_of_a_new_archive_of_gedi(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "stac").mkdir()
    (tmp_path / "stac" / "catalog.json").write_text("{}")
    ran = CliRunner().invoke(cli, ["sample", "--output", str(tmp_path), "--gedi-product", "L2A", *options])
    assert ran.exit_code == 2
    assert message in " ".join(ran.output.split())
