"""The documentation as a site: what is a heading in a page is one there, whatever its blocks are called."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))


def rewritten(page: str) -> str:
    """The Markdown of a page as the site's hook gives it to the renderer."""
    spec = importlib.util.spec_from_file_location("repository_pages", ROOT / "docs" / "repository_pages.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = SimpleNamespace(file=SimpleNamespace(src_uri=Path(page).name))
    config = SimpleNamespace(repo_url="https://example.com/repository")
    return hook.on_page_markdown(text, shown, config, None)


def headings(text: str) -> list[str]:
    """The headings of a page outside of its blocks."""
    found, is_code = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code and line.startswith("#"):
            found.append(line)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_heading_of_a_page_is_one_in_the_site(page: str) -> None:
    markdown = importlib.import_module("markdown")
    text = rewritten(page)
    shown = markdown.markdown(text, extensions=["attr_list", "tables", "toc", "pymdownx.superfences"])
    assert len(re.findall(r"<h[1-6][^>]*>", shown)) == len(headings(text))
    assert "```" not in re.sub(r"<code>.*?</code>", "", shown, flags=re.DOTALL)
