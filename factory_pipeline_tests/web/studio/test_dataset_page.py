"""The page of a dataset: what it tells, and what a person can do with it."""

import re

import pytest

from factory_pipeline.web.studio.context import Studio
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home, text_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shown(onboarded: tuple[Bench, str, str]) -> Visitor:
    """A browser on the home with a finished and a failed upload."""
    return Visitor(studio_of_home(onboarded[0].home))


def address(key: str) -> str:
    return "/datasets/" + key.replace("@", "/")


def test_a_finished_dataset_tells_what_it_holds(shown: Visitor, onboarded: tuple[Bench, str, str]) -> None:
    page = shown.page(address(onboarded[1]))
    told = text_of(page)
    assert "Rivers <b>wide</b> ● Succeeded" in told.replace(
        "Rivers <b>wide</b> Succeeded", "Rivers <b>wide</b> ● Succeeded"
    )
    assert "<b>wide</b>" not in page
    for part in (
        "10 pairs of image and label",
        "Train 6",
        "Blue",
        "Water",
        "Tiles for tests.",
        "Statistics",
        "Map",
    ):
        assert part in told
    for file in ("terratorch.yaml", "items.parquet", "dataset.html"):
        assert shown.get(f"{address(onboarded[1])}/{file}").status_code == 200


def test_pairs_are_paged_without_scripts(shown: Visitor, onboarded: tuple[Bench, str, str]) -> None:
    place = address(onboarded[1])
    first, second = shown.page(place), shown.page(f"{place}?pair=1")
    assert "1 of 10" in text_of(first)
    assert "2 of 10" in text_of(second)
    assert "10 of 10" in text_of(shown.page(f"{place}?pair=99999"))
    for page in (first, second):
        pictures = re.findall(rf'src="({place}/pictures/[^"]+)"', page)
        assert len(pictures) >= 2
        for picture in pictures:
            answer = shown.get(picture)
            assert answer.headers["content-type"] in ("image/webp", "image/png")
            assert answer.content[:4] in (b"RIFF", b"\x89PNG")
    assert shown.get(f"{place}/pictures/nothing/c0").status_code == 404
    assert shown.get(f"{place}/pictures/{pictures[0].split('/')[-2]}/c9").status_code == 404


def test_the_card_has_a_preview(shown: Visitor, onboarded: tuple[Bench, str, str]) -> None:
    picture = f"/pictures{address(onboarded[1])}.webp"
    assert picture in shown.page("/")
    assert shown.get(picture).content[:4] == b"RIFF"
    assert shown.get(f"/pictures{address(onboarded[2])}.webp").status_code == 404


def test_the_offline_page_is_shown_in_a_sandbox(shown: Visitor, onboarded: tuple[Bench, str, str]) -> None:
    answer = shown.get(f"{address(onboarded[1])}/dataset.html")
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")


def test_images_and_other_files_are_not_served(shown: Visitor, onboarded: tuple[Bench, str, str]) -> None:
    bench, key, _ = onboarded
    root = bench.home.upload(key).finished.root
    image = next(root.rglob("*.tif")).relative_to(root).as_posix()
    for path in (image, "../../../registry.db", "%2e%2e/%2e%2e/registry.db", "x.html"):
        assert shown.get(f"{address(key)}/{path}").status_code == 404


def test_a_failed_upload_says_why_and_gives_its_logs(
    shown: Visitor, onboarded: tuple[Bench, str, str]
) -> None:
    failed = onboarded[2]
    told = text_of(shown.page(address(failed)))
    assert "Onboarding failed" in told
    assert "tile_2" in told
    assert "UNPAIRED" in told
    logs = shown.get(f"{address(failed)}/logs")
    assert logs.headers["content-disposition"].startswith("attachment;")
    assert logs.headers["content-type"].startswith("text/plain")
    assert logs.text.startswith(f"{failed}: Failed")
    assert shown.get(f"{address(failed)}/dataset.html").url.path == address(failed)


def test_a_page_that_waits_is_loaded_anew_at_the_end(
    shown: Visitor, onboarded: tuple[Bench, str, str]
) -> None:
    assert shown.get(f"{address(onboarded[1])}/progress").headers["hx-refresh"] == "true"


def test_the_description_can_be_changed(shown: Visitor, onboarded: tuple[Bench, str, str]) -> None:
    bench, key, _ = onboarded
    before = bench.home.upload(key).finished.page.read_bytes()
    page = shown.send_form(f"{address(key)}/describe", {"description": "Wide <i>rivers</i>\r\nof the north."})
    assert "The description was changed." in page
    assert "Wide <i>rivers</i> of the north." in text_of(page)
    assert bench.home.upload(key).finished.page.read_bytes() == before
    shown.send_form(f"{address(key)}/describe", {"description": "x" * 10_001}, status=400)
    shown.send_form(f"{address(key)}/describe", {"description": "Tiles for tests."})


def test_delete_removes_the_dataset_that_the_form_names(bench: Bench) -> None:
    key = bench.prepare("rivers")
    other = bench.prepare("lakes", description="Other tiles.")
    visitor = Visitor(studio_of_home(bench.home))
    visitor.send_form(f"{address(key)}/delete", {"key": other}, status=400)
    page = visitor.send_form(f"{address(key)}/delete", {"key": key})
    assert f"rivers ({key}) was deleted." in page
    assert "was deleted" not in visitor.page("/"), "it is said once"
    assert not bench.home.upload(key).finished.root.exists()
    assert bench.home.upload(other).finished.root.exists()
    visitor.page(address(key), status=404)


@pytest.mark.parametrize(
    "path", ["/datasets/x/00000000", "/datasets/../registry.db", "/nothing", "/pictures/versions/...webp"]
)
def test_what_does_not_exist_is_said_so(studio: Studio, path: str) -> None:
    answer = Visitor(studio).get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
