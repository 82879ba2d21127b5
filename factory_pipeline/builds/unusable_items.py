"""Items of the catalog that a stage of a batch could not use: kept in a file each, counted over the build."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.stac.items import UnusableItem
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.build_files import BuildFiles


def keep_unusable_items(files: BuildFiles, batch: str, layer: str, items: Sequence[UnusableItem]) -> None:
    """Keep which items a stage could not use, and why; a batch that could use all has no file.

    Args:
        files: of the build.
        batch: its key.
        layer: whose items were searched, or the source of a recipe.
        items: those that can't be used.
    """
    path = files.unusable_items(batch, layer)
    if items:
        write_text(path, json.dumps({item.id: item.reason for item in items}, sort_keys=True))
    else:
        path.unlink(missing_ok=True)


def read_unusable_items(files: BuildFiles, batch: str, layer: str) -> dict[str, str]:
    """Return the reason for each item, by its id, that a stage could not use.

    Args:
        files: of the build.
        batch: its key.
        layer: as for `keep_unusable_items`.
    """
    path = files.unusable_items(batch, layer)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def count_unusable_items(plan: PlanKeys, files: BuildFiles, layers: Iterable[str]) -> dict[str, int]:
    """Return how many items of the catalog no batch could use, by `layer: reason`, each item once.

    Args:
        plan: of the build.
        files: of the build.
        layers: of the build, or the sources of its recipe.
    """
    reasons: dict[tuple[str, str], str] = {}
    for layer in layers:
        for batch in plan.keys:
            items = read_unusable_items(files, batch, layer)
            reasons |= {(layer, item): reason for item, reason in items.items()}
    counts = Counter(f"{layer}: {reason}" for (layer, _), reason in reasons.items())
    return dict(sorted(counts.items()))
