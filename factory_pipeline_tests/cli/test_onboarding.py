"""The commands for onboarded datasets, and the server of their pages."""

import json
import re
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from factory_pipeline.cli.main import cli
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.errors import BuildError, FactoryError, OnboardingError
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import MANIFEST, Bench
from factory_pipeline_tests.onboarding.test_folders import in_folders
from factory_pipeline_tests.onboarding.uploads import geotiff, mask, pairs, zip_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> FactoryHome:
    """A home in which one upload was onboarded by command, one failed, and one failed on arrival.

    Tests must not add to it.
    """
    folder = tmp_path_factory.mktemp("used")
    home = FactoryHome(folder / "home")
    zip_of(folder / "rivers.zip", pairs(6))
    broken = pairs(4)
    del broken["labels/tile_3_mask.tif"]
    zip_of(folder / "broken.zip", broken)
    for name in ("rivers", "broken"):
        document = {**MANIFEST, "dataset_url": f"{name}.zip", "dataset_name": name}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    onboarded = command(home, "onboard", folder / "rivers.yaml")
    assert onboarded.exit_code == 0, onboarded.exception
    failed = command(home, "onboard", folder / "broken.yaml")
    assert isinstance(failed.exception, OnboardingError)
    assert failed.exception.code == "UNPAIRED"
    # Nothing but the registry knows of this one.
    (folder / "unreadable.yaml").write_text("purpose: [<script>")
    assert command(home, "onboard", folder / "unreadable.yaml").exit_code
    return home


def command(home: FactoryHome, *arguments: str | Path, answers: str = "") -> Result:
    return CliRunner().invoke(
        cli, [*map(str, arguments)], input=answers, env={"FACTORY_HOME": str(home.root), "COLUMNS": "200"}
    )


def test_datasets_lists_every_upload_with_status_and_reason(used: FactoryHome) -> None:
    unreadable, good, bad = sorted(command(used, "datasets").stdout.splitlines(), reverse=True)
    assert "[MANIFEST_INVALID]" in unreadable
    assert good.startswith("rivers@")
    assert "Succeeded" in good
    assert "Failed" in bad
    assert "images/tile_3_merged.tif" in bad
    assert "[UNPAIRED]" in bad


def test_datasets_leaves_out_failures_that_were_corrected(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    with closing(open_registry(home)) as registry:
        for key, status in (
            ("a@00000001", UploadStatus.FAILED),
            ("a@00000002", UploadStatus.SUCCEEDED),
            ("b@00000001", UploadStatus.SUCCEEDED),
            ("b@00000002", UploadStatus.FAILED),
        ):
            registry.register_upload(key, "")
            registry.set_status(
                key, status, reason="It was wrong." if status is UploadStatus.FAILED else None
            )
    lines = command(home, "datasets").stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["a@00000002", "b@00000001", "b@00000002"]
    assert lines[-1] == "Failed uploads that a later one corrected are left out: 1 (--all lists them)."
    assert len(command(home, "datasets", "--all").stdout.splitlines()) == 4


def test_show_tells_what_a_dataset_holds_or_why_it_failed(used: FactoryHome) -> None:
    shown = command(used, "show", "rivers").output
    assert "Images   4 train, 1 test, 1 validation" in shown
    assert "Label    1 Water: 50.0% of the pixels, weight 1" in shown
    assert "UNPAIRED" in command(used, "show", "broken").output
    assert isinstance(command(used, "show", "unknown").exception, FactoryError)


def test_listings_are_given_as_json(used: FactoryHome) -> None:
    listed = json.loads(command(used, "upload", "list", "--json").stdout)
    good, bad = (next(one for one in listed if one["name"] == name) for name in ("rivers", "broken"))
    assert (good["status"], good["code"], bad["status"], bad["code"]) == (
        "Succeeded", None, "Failed", "UNPAIRED",
    )  # fmt: skip
    assert Path(good["page"]).is_file()
    assert bad["folder"] is None
    shown = json.loads(command(used, "upload", "show", "rivers", "--json").stdout)
    assert shown["images"] == {"train": 4, "test": 1, "validation": 1}
    assert [band["band"] for band in shown["training_parameters"]["bands"]] == ["Blue", "Red"]
    assert shown["key"] == good["key"]
    options = ("--data-suffix", "_merged.tif", "--label-suffix", "_mask.tif", "--json")
    failed = command(used, "prescan", used.root.parent / "broken.zip", *options)
    scan = json.loads(failed.stdout)
    assert (failed.exit_code, scan["passed"], scan["images"], scan["labels"]) == (1, False, 4, 3)
    assert scan["suffixes"][0]["band_names"] == ["Blue", "Red"]
    [collection] = json.loads(command(used, "collection", "list", "--json").stdout)
    assert (collection["name"], collection["items"]) == ("rivers", 6)
    assert json.loads(command(used, "dataset", "list", "--json").stdout) == []


def test_logs_holds_everything_that_the_run_said(used: FactoryHome, tmp_path: Path) -> None:
    assert command(used, "logs", "broken", "--output", tmp_path / "a.log").exit_code == 0
    text = (tmp_path / "a.log").read_text()
    assert text.startswith("broken@")
    assert "images that lack their label: images/tile_3_merged.tif" in text
    assert "RUN_FAILURE" in text or "failed" in text
    assert "prescan_report" in text


def test_prescan_reports_and_fails_where_a_check_does(used: FactoryHome) -> None:
    folder = used.root.parent
    options = ("--data-suffix", "_merged.tif", "--label-suffix", "_mask.tif")
    good = command(used, "prescan", folder / "rivers.zip", *options)
    assert good.exit_code == 0
    assert "6 images end in _merged.tif: 2 bands (Blue, Red), uint16, 8 x 8 pixels, EPSG:32632" in good.output
    bad = command(used, "prescan", folder / "broken.zip", *options)
    assert bad.exit_code == 1
    assert "FAIL Complete stems: 3" in bad.output


def test_prescan_of_an_archive_with_folders_of_splits(used: FactoryHome, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "split.zip", in_folders("{split}/{name}_i.tif", "{split}/{name}_m.tif"))
    options = ("--data-suffix", "_i.tif", "--label-suffix", "_m.tif")
    assert "have the name of another file" in command(used, "prescan", archive, *options).output
    scanned = command(used, "prescan", archive, *options, "--splits", "folders", "--json")
    assert (scanned.exit_code, json.loads(scanned.stdout)["images"]) == (0, 10)


def test_an_archive_can_be_onboarded_without_a_manifest(tmp_path: Path) -> None:
    zip_of(tmp_path / "heights.zip", pairs(5))
    home = FactoryHome(tmp_path / "home")
    asked = command(home, "onboard", tmp_path / "heights.zip")
    assert "set --purpose, --data-suffix and --label-suffix" in asked.output
    options = ("--purpose", "Regression", "--data-suffix", "_merged.tif", "--label-suffix", "_mask.tif")
    made = json.loads(command(home, "onboard", tmp_path / "heights.zip", *options, "--json").stdout)
    assert (made["name"], made["status"], sum(made["images"].values())) == ("heights", "Succeeded", 5)


def test_new_manifest_is_prefilled_by_the_pre_scan(used: FactoryHome, tmp_path: Path) -> None:
    answers = [
        "Segmentation", used.root.parent / "rivers.zip", "_merged.tif", "_mask.tif", "", "Two bands.",
        "S2", "", "sentinel-2-l2a", "n", "0.0001",
        "", "Land", "", "", "", "Water", "blue", "0.5", "n",
        "y", "255",
    ]  # fmt: skip
    path = tmp_path / "written.yaml"
    asked = command(used, "new-manifest", "--output", path, answers="\n".join(map(str, answers)) + "\n")
    assert asked.exit_code == 0, asked.output
    manifest = UploadManifest.load(path)
    assert manifest.dataset_name == "rivers"
    assert manifest.label_nodata == 255
    assert [band.band_name for band in manifest.data_sources[0].bands] == ["Blue", "Red"]
    assert [band.rgb_band for band in manifest.data_sources[0].bands] == ["B", "R"]
    assert [(known.id, known.name, known.opacity) for known in manifest.label_categories] == [
        (0, "Land", 1.0),
        (1, "Water", 0.5),
    ]


def test_new_manifest_offers_known_collections_and_fills_in_their_bands(tmp_path: Path) -> None:
    values = np.ones((3, 8, 8), np.uint16)
    named = geotiff(values, ("SR_B4", "SR_B5", "ST_B10"))
    zip_of(tmp_path / "fields.zip", {"a_merged.tif": named, "a_mask.tif": mask()})
    answers = [
        "Regression", tmp_path / "fields.zip", "_merged.tif", "_mask.tif", "", "",
        "", "", "", "n", "n", "n",
    ]  # fmt: skip
    path = tmp_path / "written.yaml"
    home = FactoryHome(tmp_path / "home")
    asked = command(home, "new-manifest", "--output", path, answers="\n".join(map(str, answers)) + "\n")
    assert asked.exit_code == 0, asked.output
    assert "Known collections with these bands: landsat-c2-l2" in asked.output
    [source] = UploadManifest.load(path).data_sources
    assert source.collection == "landsat-c2-l2"
    assert [band.rgb_band for band in source.bands] == ["R", None, None]
    assert [band.scaling_factor for band in source.bands] == [0.0000275, 0.0000275, 0.00341802]
    assert source.bands[2].description == "Surface temperature, 10.895 µm"


def test_finetune_says_how_to_install_terratorch_or_runs_it(
    used: FactoryHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = command(used, "finetune", "rivers").exception
    assert isinstance(missing, BuildError)
    assert "pip install terratorch" in str(missing)
    stand_in = tmp_path / "terratorch"
    stand_in.write_text(
        f"#!{sys.executable}\nimport sys\nopen('arguments', 'w').write(' '.join(sys.argv[1:]))\n"
    )
    stand_in.chmod(0o755)
    assert command(used, "finetune", "rivers").exit_code == 0
    [written] = used.root.glob("training/rivers@*/arguments")
    configuration = f"fit --config {written.parent / 'terratorch.yaml'} "
    assert written.read_text().startswith(configuration)
    assert "--trainer.logger=lightning.pytorch.loggers.CSVLogger" in written.read_text()
    data = yaml.safe_load((written.parent / "terratorch.yaml").read_text())["data"]["init_args"]
    assert Path(data["train_split"]).read_text()
    assert list(Path(data["train_data_root"]).glob(data["img_grep"]))
    assert isinstance(command(used, "finetune", "broken").exception, OnboardingError)


def test_the_studio_serves_uploads_and_nothing_else(used: FactoryHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["-m", "factory_pipeline.web.server", used.root, "--port", port]
    server = subprocess.Popen([sys.executable, *map(str, arguments)])
    base = f"http://127.0.0.1:{port}"
    try:
        listed = _get(base, patience_s=60)
        [page] = used.datasets.glob("rivers/*/dataset.html")
        place = page.parent.relative_to(used.root).as_posix()
        assert f'href="/{place}"' in listed
        assert _get(f"{base}/{place}/dataset.html") == page.read_text()
        assert _get(f"{base}/{place}/terratorch.yaml") == (page.parent / "terratorch.yaml").read_text()
        broken = listed.partition('href="/datasets/broken/')[2].partition('"')[0]
        assert "UNPAIRED" in _get(f"{base}/datasets/broken/{broken}/dataset.html")
        links = re.findall(r'href="(/datasets/[^"]+)"', listed)
        told = [_get(f"{base}{link}") for link in links]
        [refused] = [text for text in told if "The manifest unreadable.yaml is not YAML" in text]
        assert "MANIFEST_INVALID" in refused
        assert "<script>" not in refused
        image = next(page.parent.rglob("*.tif")).relative_to(used.root).as_posix()
        for path in (image, f"{place}/../../../registry.db", "datasets/%2e%2e/dagster/dagster.yaml", "x"):
            with pytest.raises(HTTPError, match="404"):
                _get(f"{base}/{path}")
    finally:
        server.terminate()
        server.wait(30)


def test_an_onboarding_by_the_sensor_is_seen_by_the_commands(bench: Bench) -> None:
    key = bench.onboard("rivers", pairs(4))
    assert key in command(bench.home, "datasets").output


def _get(url: str, patience_s: float = 0) -> str:
    until = time.monotonic() + patience_s
    while True:
        try:
            with urlopen(url) as answer:
                return answer.read().decode()
        except HTTPError:
            raise
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_names_in_files_neither_fake_lines_nor_control_the_terminal(tmp_path: Path) -> None:
    names = ("Blue\n  ok   Every pixel was checked.", "Red\u202e")
    image = geotiff(np.ones((2, 8, 8), np.uint16), names)
    archive = zip_of(
        tmp_path / "a.zip", {"a_merged.tif": image, "a_mask.tif": mask(), "b\u202egpj.tif": image}
    )
    scan = ["prescan", archive, "--data-suffix", "_merged.tif", "--label-suffix", "_mask.tif"]
    printed = command(FactoryHome(tmp_path / "home"), *scan).output
    assert not {"\x1b", "\u202e"} & set(printed)
    assert not [line for line in printed.splitlines() if line.startswith("  ok   Every pixel was checked")]
    assert r"(Blue\n  ok   Every pixel was checked., Red\u202e)" in printed


def test_a_leak_of_a_random_split_is_said_by_onboard_and_by_show(used: FactoryHome) -> None:
    # The sample's tiles lie on one ground.
    shown = command(used, "show", "rivers").output
    assert "LEAK     The split leaks: 9 of 15 pairs of overlapping or identical images" in shown
    assert "Not checked: copies that were cut, turned, or shifted" in shown
    page = next(used.datasets.glob("rivers/*/dataset.html")).read_text()
    assert "The split leaks: 9 of 15 pairs" in page
    again = command(used, "onboard", used.root.parent / "rivers.yaml")
    assert "LEAK     The split leaks: 9 of 15 pairs" in again.stdout
    assert re.search(r"rivers@\w+ was onboarded before .*: nothing is done", again.stderr)


def test_the_commands_of_a_page_name_its_version(used: FactoryHome) -> None:
    page = next(used.datasets.glob("rivers/*/dataset.html"))
    key = f"rivers@{page.parent.name}"
    commands = re.findall(r"<code>(factory .*?)</code>", page.read_text())
    assert commands == [
        f"factory finetune {key}",
        f"factory upload logs {key}",
        f"factory upload delete {key}",
    ]


def test_each_answer_of_new_manifest_is_checked_when_it_is_given(used: FactoryHome, tmp_path: Path) -> None:
    answers = [
        "Segmentation", "/nosuch.zip", used.root.parent / "rivers.zip", "_nosuch.tif", "", "_merged.tif", "",
        "", "Two bands.", "S 2", "S2", "", "sentinel-2-l2a", "n", "0", "0.0001",
        "-1", "", "Land", "#11", "", "2", "", "0", "1", "Land", "Water", "blue", "0.5", "n", "n",
    ]  # fmt: skip
    path = tmp_path / "written.yaml"
    asked = command(used, "new-manifest", "--output", path, answers="\n".join(map(str, answers)) + "\n")
    assert asked.exit_code == 0, asked.output
    for refused in (
        "the file /nosuch.zip does not exist",
        "no file ends with '_nosuch.tif'",
        "'_merged.tif' is in use",
        "'S 2' is not allowed",
        "'0' is not allowed: Input should be greater than 0",
        "'-1' is not allowed",
        "'#11' is not allowed",
        "'2' is not allowed",
        "'Land' is in use",
    ):
        assert refused in asked.output
    assert "The files end with _merged.tif (6), _mask.tif (6)." in asked.output
    manifest = UploadManifest.load(path)
    assert (manifest.training_data_suffixes, manifest.label_suffix) == (("_merged.tif",), "_mask.tif")
    assert [(known.id, known.name) for known in manifest.label_categories] == [(0, "Land"), (1, "Water")]
    assert not path.with_suffix(".draft.yaml").exists()


def test_new_manifest_keeps_a_draft_and_goes_on_from_it(used: FactoryHome, tmp_path: Path) -> None:
    path = tmp_path / "written.yaml"
    until = ["Segmentation", used.root.parent / "rivers.zip", "", "", "Streams", "Two bands."]
    left = command(used, "new-manifest", "--output", path, answers="\n".join(map(str, until)) + "\n")
    assert left.exit_code == 130
    draft = path.with_suffix(".draft.yaml")
    assert f"{draft}; `factory new-manifest` continues from there." in left.output
    assert not path.exists()
    rest = ["y", "S2", "", "", "n", "1", "", "Land", "", "", "", "Water", "", "", "n", "n"]
    done = command(used, "new-manifest", "--output", path, answers="\n".join(rest) + "\n")
    assert done.exit_code == 0, done.output
    manifest = UploadManifest.load(path)
    assert (manifest.dataset_name, manifest.label_suffix) == ("Streams", "_mask.tif")
    assert not draft.exists()


def test_new_manifest_without_an_answer_writes_no_draft(used: FactoryHome, tmp_path: Path) -> None:
    left = command(used, "new-manifest", "--output", tmp_path / "asked.yaml")
    assert left.exit_code
    assert "draft" not in left.output
    assert not list(tmp_path.iterdir())


def test_nothing_is_registered_for_a_file_that_does_not_exist(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    typed = command(home, "onboard", tmp_path / "typo.yaml")
    assert isinstance(typed.exception, OnboardingError)
    assert f"The manifest {tmp_path / 'typo.yaml'} does not exist" in str(typed.exception)
    options = ("--purpose", "Segmentation", "--data-suffix", "_merged.tif", "--label-suffix", "_mask.tif")
    archive = command(home, "onboard", tmp_path / "typo.zip", *options)
    assert f"The file {tmp_path / 'typo.zip'}" in archive.output
    with closing(open_registry(home)) as registry:
        assert not registry.uploads(with_deleted=True)


def test_the_categories_of_an_archive_are_read_from_its_masks(tmp_path: Path) -> None:
    files = pairs(5)
    files["labels/tile_3_mask.tif"] = mask(0, 7, 255)
    zip_of(tmp_path / "lakes.zip", files)
    home = FactoryHome(tmp_path / "home")
    options = ("--purpose", "segmentation", "--data-suffix", "_merged.tif", "--label-suffix", "_mask.tif")
    done = command(
        home,
        "onboard",
        tmp_path / "lakes.zip",
        *options,
        "--category",
        "1=Water",
        "--label-nodata",
        "255",
    )
    assert done.exit_code == 0, done.output
    assert re.search(r"Label +1 Water", done.output)
    assert re.search(r"Label +7 Class 7", done.output)
    assert "255" not in [line.split()[0] for line in done.output.splitlines() if line.startswith("    ")]
    wrong = command(home, "onboard", tmp_path / "lakes.zip", *options, "--category", "Water")
    assert "--category 'Water' is not a value and a name, such as 1=Water" in wrong.output
