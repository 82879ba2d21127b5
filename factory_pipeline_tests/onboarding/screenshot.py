"""Draws `docs/images/dataset-page.png` anew: `python -m factory_pipeline_tests.onboarding.screenshot`.

The page is that of a made dataset, shown by the system's Chromium; its sections stand in two columns.
"""

import shutil
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from factory_pipeline.onboarding.page.render import write_page
from factory_pipeline_tests.onboarding.curated import onboarded
from factory_pipeline_tests.onboarding.page.pages import page_of
from factory_pipeline_tests.onboarding.page.test_render import CHROMIUM_ARGS
from factory_pipeline_tests.project import DOCS

PICTURE = DOCS / "images" / "dataset-page.png"
COLUMNS = (("body > header", "#overview"), ("#preview",))
WIDTH, SCALE, GAP, COLOURS = 860, 0.6, 12, 64
PAPER = "#f3f5f2"


def draw(target: Path, program: str) -> None:
    """Write the picture, in few colours so that it stays small."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "dataset.html"
        made = onboarded(Path(folder), 12, modalities=("S2", "S1"), size=96)
        described = {"description": "Images of rivers in spring, with hand-drawn water masks."}
        write_page(file, page_of(replace(made, manifest=made.manifest.model_copy(update=described))))
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.goto(file.as_uri())
        columns = [
            [Image.open(BytesIO(page.locator(section).first.screenshot())) for section in sections]
            for sections in COLUMNS
        ]
        browser.close()
    drawn = beside([stacked(column) for column in columns])
    small = drawn.resize((round(drawn.width * SCALE), round(drawn.height * SCALE)), Image.Resampling.LANCZOS)
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def stacked(pictures: list[Image.Image]) -> Image.Image:
    """Pictures below one another."""
    size = max(one.width for one in pictures), sum(one.height + GAP for one in pictures)
    sheet = Image.new("RGB", size, PAPER)
    for place, one in enumerate(pictures):
        sheet.paste(one, (0, sum(above.height + GAP for above in pictures[:place])))
    return sheet


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Pictures in a row, aligned at their tops, with a margin around."""
    size = sum(one.width + GAP for one in pictures) + GAP, max(one.height for one in pictures) + GAP
    sheet = Image.new("RGB", size, PAPER)
    for place, one in enumerate(pictures):
        sheet.paste(one, (GAP + sum(left.width + GAP for left in pictures[:place]), GAP))
    return sheet


if __name__ == "__main__":
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed")
    draw(PICTURE, chromium)
