"""Pages of the site that lie beside docs/ in the repository: changelog, contributing, benchmarks.

Links between them and docs/ are written as they work in the repository; the site gets its own.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# In the repository, in the site.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}
ROOT = Path(__file__).parent.parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    for source, target in PAGES.items():
        markdown = markdown.replace(f"](../{source}", f"]({target}").replace(f"]({source}", f"]({target}")
    if "/" not in page.file.src_uri:  # what else lies beside docs/ is read in the repository
        markdown = re.sub(r"\]\(\.\./([^)]+)\)", rf"]({config.repo_url}/blob/main/\1)", markdown)
    # The second word of a fence says what the tests do with the block; the site knows the language alone.
    return re.sub(r"^```(\w+) .*$", r"```\1", markdown.replace("](docs/", "]("), flags=re.MULTILINE)
