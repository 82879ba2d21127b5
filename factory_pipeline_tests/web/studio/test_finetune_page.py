"""Create New Tune: the form is that of the dataset, and what it starts is the configuration that it shows."""

import html
import re
from pathlib import Path

import pytest
import yaml

from factory_pipeline.onboarding.products.terratorch import terratorch_config
from factory_pipeline.onboarding.products.terratorch_tuning import TuningChoices, apply_choices
from factory_pipeline.orchestration.partitions import DATASETS
from factory_pipeline.runs.instance import open_instance
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.web.studio.test_dataset_page import address
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home, text_of

pytestmark = pytest.mark.integration
CHOICES = {"backbone": "timm_resnet18", "max_epochs": "3", "batch_size": "2", "learning_rate": "0.001"}
STAND_IN = """#!/bin/sh
[ "$4 $5" = "--trainer.logger=lightning.pytorch.loggers.CSVLogger --trainer.logger.save_dir=terratorch_runs" ]
folder=terratorch_runs/lightning_logs/version_0
/bin/mkdir -p $folder
echo "epoch,step,train/loss,val/loss,val/Multiclass_Jaccard_Index
0,4,1.5,,
0,9,,1.25,0.4
1,14,0.75,,
1,19,,0.5,0.8" > $folder/metrics.csv
"""
"""Writes what TerraTorch has Lightning's CSVLogger write."""


@pytest.fixture(scope="module")
def shown(onboarded: tuple[Bench, str, str]) -> Visitor:
    return Visitor(studio_of_home(onboarded[0].home))


def configuration(page: str) -> dict[str, object]:
    found = re.search(r'<pre class="code" tabindex="0" id="configuration">(.*?)</pre>', page, re.S)
    assert found is not None
    return dict(yaml.safe_load(html.unescape(found[1])))


def test_it_begins_with_the_configuration_of_the_dataset(
    shown: Visitor, onboarded: tuple[Bench, str, str]
) -> None:
    bench, key, failed = onboarded
    page = shown.page(f"{address(key)}/finetune")
    assert 'value="SemanticSegmentationTask"' in page
    assert f'value="{key}"' in page
    own = bench.home.upload(key).finished.terratorch.read_text()
    assert configuration(page) == yaml.safe_load(own)
    shown.page(f"{address(failed)}/finetune", status=404)


def test_choices_are_those_of_a_configuration_that_is_made_with_them(
    shown: Visitor, onboarded: tuple[Bench, str, str]
) -> None:
    bench, key, _ = onboarded
    from factory_pipeline.config.intake_policy import IntakePolicy
    from factory_pipeline.onboarding.onboarding import Onboarding

    made = Onboarding(key, bench.home, IntakePolicy.of_home(bench.home))
    parts = (made.manifest, made.parameters(), made.split, Path())
    for backbone in ("timm_resnet18", "prithvi_eo_v2_600"):
        other = terratorch_config(*parts, backbone=backbone)
        assert apply_choices(terratorch_config(*parts), TuningChoices(backbone=backbone)) == other
    page = shown.send_form(f"{address(key)}/finetune", {**CHOICES, "action": "show"})
    config = configuration(page)
    assert config["trainer"]["max_epochs"] == 3  # type: ignore[index]
    downloaded = shown.post(
        f"{address(key)}/finetune",
        data={**CHOICES, "action": "download"},
        headers=shown.headers_of_page(),
    )
    assert downloaded.headers["content-disposition"] == "attachment; filename=terratorch.yaml"
    assert yaml.safe_load(downloaded.text) == config


def test_the_run_gets_the_choices_of_the_form(
    shown: Visitor, onboarded: tuple[Bench, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from factory_pipeline_tests.web.studio.test_lake_page import done

    bench, key, _ = onboarded
    start = {**CHOICES, "action": "start"}
    monkeypatch.setenv("PATH", str(tmp_path))
    page = text_of(shown.send_form(f"{address(key)}/finetune", start, status=422))
    assert "pip install terratorch" in page
    stand_in = tmp_path / "terratorch"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    with open_instance(bench.home) as instance:
        instance.add_dynamic_partitions(DATASETS, [key])
    page = configuration(shown.send_form(f"{address(key)}/finetune", {**CHOICES, "action": "show"}))
    ended = done(shown, shown.send_form(f"{address(key)}/finetune", start))
    assert ended == f"{address(key)}/finetune#metrics"
    told = text_of(shown.page(ended.partition("#")[0]))
    assert "Metrics of the training Epoch 2" in told
    assert "train/loss 0.75 val/loss 0.5" in told
    assert "val/Multiclass_Jaccard_Index 0.8" in told
    written = yaml.safe_load((bench.home.training(key) / "terratorch.yaml").read_text())
    for part in ("trainer", "model", "optimizer"):
        assert written[part] == page[part]
    assert written["data"]["init_args"]["batch_size"] == 2


@pytest.mark.parametrize(
    ("field", "value"), [("max_epochs", "0"), ("batch_size", "many"), ("backbone", "a b/c")]
)
def test_what_is_no_choice_is_said(
    shown: Visitor, onboarded: tuple[Bench, str, str], field: str, value: str
) -> None:
    form = {**CHOICES, field: value, "action": "start"}
    page = text_of(shown.send_form(f"{address(onboarded[1])}/finetune", form, status=422))
    assert field.replace("_", " ") in page
