"""The dataset page, by its text and in a browser."""

import os
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.page.charts import footprint_map
from factory_pipeline.onboarding.page.render import DatasetPage, Status, render_page, write_page
from factory_pipeline_tests.onboarding.curated import Curated, items_frame, onboarded, square
from factory_pipeline_tests.onboarding.page.pages import UPDATED, page_of

pytestmark = pytest.mark.integration

CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on disk: 7 pairs of two modalities."""
    root = tmp_path_factory.mktemp("floods")
    write_page(root / "dataset.html", page_of(onboarded(root, 7, modalities=("S2", "S1"), size=48)))
    return root / "dataset.html"


def test_it_is_one_file_that_asks_for_nothing(dataset: Path) -> None:
    text = dataset.read_text()
    assert "default-src 'none'" in text
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", text)
    assert not re.findall(r"url\(|@import|fetch\(", text)
    assert "<b>hand-drawn</b>" not in text, "what users type is text, never markup"
    assert "&lt;b&gt;hand-drawn&lt;/b&gt;" in text


def test_the_same_dataset_is_the_same_page(tmp_path: Path) -> None:
    page = page_of(onboarded(tmp_path, 4))
    assert render_page(page) == render_page(page)


def test_a_failed_upload_says_why(tmp_path: Path) -> None:
    manifest = onboarded(tmp_path, 1).manifest
    reason = "12 images have no label, such as <tile_7>."
    text = render_page(
        DatasetPage(manifest, Status.FAILED, "1", UPDATED, tmp_path, error_code="UNPAIRED", reason=reason)
    )
    assert "12 images have no label, such as &lt;tile_7&gt;." in text
    assert "UNPAIRED" in text
    assert 'id="preview"' not in text


def test_a_manifest_alone_makes_a_page(tmp_path: Path) -> None:
    manifest = UploadManifest.parse(
        {
            "purpose": "Generic",
            "dataset_url": "https://host/a.zip?sig=secret",
            "training_data_suffixes": [".tif"],
            "label_suffix": ".json",
            "dataset_name": "</script><script>alert(1)</script>",
        },
        "x.yaml",
    )
    text = render_page(DatasetPage(manifest, Status.PENDING, "1", UPDATED, tmp_path))
    assert "Pending" in text
    assert "alert(1)</script>" not in text
    assert "secret" not in text


def test_names_cannot_end_the_script(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 3)
    hostile = curated.items.with_columns(
        pl.lit("</script><img src=x onerror=alert(1)>").alias("original_name")
    )
    text = render_page(page_of(Curated(curated.root, curated.manifest, hostile)))
    assert "<img src=x" not in text


def test_the_map_draws_far_more_images_than_a_page_can_hold() -> None:
    rows = [square(500_000 + 900 * (n % 70), 5_000_000 + 900 * (n // 70), 600) for n in range(3000)]
    items = items_frame([*rows, {}])
    drawn = footprint_map(items.lazy(), items.select("stem", pl.lit("train").alias("split")))
    assert drawn is not None
    assert 100 < len(drawn.footprints) <= 3000
    assert all(0 <= mark.x <= drawn.width and 0 <= mark.y <= drawn.height for mark in drawn.footprints)
    assert drawn.left_out == 1
    assert 2 <= len(drawn.meridians) <= 8
    assert 2 <= len(drawn.parallels) <= 8


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("FACTORY_REQUIRE_SYSTEM") == "1":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def shown(browser: Browser, dataset: Path) -> Iterator[Page]:
    """The page, with every complaint of the browser and every request to a network."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else complaints.append(request.url)
        ),
    )
    page.goto(dataset.as_uri())
    yield page
    assert not complaints
    page.close()


def _pictures(page: Page) -> list[str]:
    """The layers that are seen, from the top."""
    return page.eval_on_selector_all(
        "#stage img:not([hidden])", "images => images.map(i => i.dataset.layer)"
    )[::-1]


def test_pages_turn_by_button_and_by_key(shown: Page) -> None:
    caption = shown.locator("#caption")
    expect(caption).to_contain_text("river 0 (spring)")
    expect(caption).to_contain_text("1 of 7")
    expect(shown.get_by_role("button", name="Previous pair")).to_be_disabled()
    before = shown.get_attribute("#stage img[data-layer=c0]", "src")
    shown.get_by_role("button", name="Next pair").click()
    expect(caption).to_contain_text("2 of 7")
    assert shown.get_attribute("#stage img[data-layer=c0]", "src") != before
    shown.focus("#stage")
    for _ in range(9):
        shown.keyboard.press("ArrowRight")
    expect(caption).to_contain_text("7 of 7")
    expect(shown.get_by_role("button", name="Next pair")).to_be_disabled()
    shown.keyboard.press("ArrowLeft")
    expect(caption).to_contain_text("6 of 7")


def test_the_drop_down_chooses_a_file(shown: Page) -> None:
    files = shown.get_by_label("File", exact=True)
    assert files.locator("option").count() == 7
    files.select_option(index=4)
    expect(shown.locator("#caption")).to_contain_text("river 4 (spring)")
    shown.get_by_role("button", name="Next pair").click()
    expect(files).to_have_value("5")


def test_layers_of_a_pair_lie_on_one_another(shown: Page) -> None:
    for name in ("S2 · Infrared", "S1 · VV", "S1 · VH"):
        shown.get_by_role("button", name=f"Show {name}").click()
    assert _pictures(shown) == ["label", "c0", "c1", "c2", "c3"]
    boxes = shown.eval_on_selector_all(
        "#stage img", "images => images.map(i => JSON.stringify(i.getBoundingClientRect()))"
    )
    assert len(set(boxes)) == 1
    sizes = shown.eval_on_selector_all(
        "#stage img", "images => images.map(i => [i.naturalWidth, i.naturalHeight])"
    )
    assert sizes == [[48, 48]] * 5


def test_layers_hide_and_show_and_stay_so(shown: Page) -> None:
    assert _pictures(shown) == ["label", "c0"]
    eye = shown.get_by_role("button", name="Show Label")
    expect(eye).to_have_attribute("aria-pressed", "true")
    eye.click()
    expect(eye).to_have_attribute("aria-pressed", "false")
    assert _pictures(shown) == ["c0"]
    shown.get_by_role("button", name="Next pair").click()
    assert _pictures(shown) == ["c0"]
    eye.focus()
    shown.keyboard.press("Space")
    assert _pictures(shown) == ["label", "c0"]


def test_opacity_follows_the_slider(shown: Page) -> None:
    slider = shown.get_by_role("slider", name="Opacity of Label")
    picture = shown.locator("#stage img[data-layer=label]")
    expect(slider).to_have_value("60")
    expect(picture).to_have_css("opacity", "0.6")
    slider.fill("25")
    expect(picture).to_have_css("opacity", "0.25")
    slider.press("ArrowLeft")
    expect(picture).to_have_css("opacity", "0.24")
    expect(shown.locator("#layers li[data-layer=label]")).to_contain_text("24 %")


def test_it_tells_what_it_knows(shown: Page) -> None:
    overview = shown.locator("#overview")
    expect(shown.locator(".status")).to_have_text("Succeeded")
    expect(overview).to_contain_text("Train 4 57.1 %")
    expect(overview).to_contain_text("No two images overlap")
    assert shown.locator("#statistics .band svg path.bars").count() == 6
    assert shown.locator("#map .footprint").count() == 7
    assert shown.locator("#labels tbody tr").count() == 3


def test_everything_is_reached_by_the_keyboard(shown: Page) -> None:
    shown.locator("#file").focus()
    reached = []
    for _ in range(12):
        shown.keyboard.press("Tab")
        reached.append(
            shown.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.id")
        )
    assert reached[:2] == ["Next pair", "Layers of the pair; the arrow keys turn pages"]
    assert {"Show Label", "Opacity of Label", "Show S1 · VH", "Opacity of S1 · VH"} <= set(reached)


def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, dataset: Path) -> None:
    page = browser.new_page(
        viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    page.goto(dataset.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    stage, panel = page.locator("#stage").bounding_box(), page.locator("#layers").bounding_box()
    assert stage is not None
    assert panel is not None
    assert panel["y"] > stage["y"] + stage["height"]
    assert stage["width"] > 280
    page.get_by_role("button", name="Next pair").tap()
    expect(page.locator("#caption")).to_contain_text("2 of 7")
    for button in page.locator("#preview button").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Browser, dataset: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(dataset.as_uri())
    for selector, behind in [
        ("h1", "body"),
        ("#overview h2", "#overview"),
        (".tile span", ".tile"),
        (".note", ".note"),
    ]:
        ink = _luminance(page.eval_on_selector(selector, "e => getComputedStyle(e).color"))
        ground = _luminance(page.eval_on_selector(behind, "e => getComputedStyle(e).backgroundColor"))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5
        assert (ink > ground) == (scheme == "dark")
    page.close()


def test_a_regression_has_a_ramp_for_a_legend(browser: Browser, tmp_path: Path) -> None:
    write_page(tmp_path / "dataset.html", page_of(onboarded(tmp_path, 3, "Regression")))
    page = browser.new_page()
    page.goto((tmp_path / "dataset.html").as_uri())
    assert page.locator("#preview .ramp").count() == 1
    assert page.locator("#labels").count() == 0
    assert _pictures(page) == ["label", "c0"]
    page.close()


def _luminance(color: str) -> float:
    """Relative luminance (WCAG 2) of `rgb(r, g, b)`."""
    channels = np.array([float(part) for part in re.findall(r"[\d.]+", color)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _decoded(picture: bytes) -> Image.Image:
    return Image.open(BytesIO(picture))
