"""Draws the pictures of `docs/studio.md` anew: `python -m factory_pipeline_tests.web.studio.screenshots`.

The studio is that of a made home with the two sample uploads, shown by the system's Chromium.
"""

import shutil
import tempfile
from contextlib import closing
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from factory_pipeline.runs.instance import prepare_home
from factory_pipeline.runs.onboarding import onboard
from factory_pipeline.sdk.client import DatasetClient
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.uploads import make_uploads
from factory_pipeline_tests.onboarding.page.test_render import CHROMIUM_ARGS
from factory_pipeline_tests.project import DOCS
from factory_pipeline_tests.web.studio.served import ServedStudio

SIZE = {"width": 1180, "height": 760}
SCALE, COLOURS = 0.75, 96
SHARES = {"train": 60, "test": 20, "validation": 20}


def draw(folder: Path, program: str) -> None:
    """Write the pictures, in few colours so that they stay small."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        home = FactoryHome(Path(temporary) / "home")
        prepare_home(home)
        archives = Path(temporary) / "uploads"
        keys = [onboard(manifest, home).key for manifest in make_uploads(archives, 22)]
        client = DatasetClient(home=home.root, on_progress=lambda *_: None)
        client.create_dataset_from_datalake("Forests of Bohemia", SHARES, ["Forest", "Water"])
        server = ServedStudio(home)
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        with closing(browser.new_page(viewport=SIZE, color_scheme="light")) as page:
            page.goto(server.url)
            keep(page, folder / "studio-start.png")
            page.goto(f"{server.url}/datasets/{sorted(keys)[1].replace('@', '/')}")
            page.locator("#preview").scroll_into_view_if_needed()
            page.evaluate("document.querySelector('#preview').scrollIntoView()")
            keep(page, folder / "studio-dataset.png")
            page.goto(f"{server.url}/lake?q=annotation.label%3DForest")
            keep(page, folder / "studio-lake.png")
            page.goto(f"{server.url}/add")
            page.set_input_files("#archive", archives / "sample-land-cover.zip")
            page.get_by_label("Purpose").select_option("Segmentation")
            page.get_by_label("Names of images end in").fill("_s2.tif")
            page.get_by_label("Names of labels end in").fill("_mask.tif")
            page.get_by_role("button", name="Pre-scan dataset").click()
            page.get_by_role("button", name="Configure dataset").wait_for()
            keep(page, folder / "studio-prescan.png")
        browser.close()
        server.stop()


def keep(page: Page, target: Path) -> None:
    """Write what the browser shows."""
    page.wait_for_load_state("networkidle")
    with Image.open(BytesIO(page.screenshot())) as drawn:
        size = round(drawn.width * SCALE), round(drawn.height * SCALE)
        small = drawn.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed")
    draw(DOCS / "images", chromium)
