"""Importing archives into a home of the test's own."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.import_release import import_release
from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.errors import OnboardingError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datalake.ingest.releases.archives import tar_gz


@dataclass
class Imports:
    """Imports archives into a home."""

    folder: Path
    registry: Registry
    home: FactoryHome
    policy: IntakePolicy
    count: int = 0
    report: ReleaseReport | None = None
    collection: Collection | None = None

    def __call__(self, files: dict[str, Any], root: str = "ts_104-1.0.1/", **options: Any) -> pl.DataFrame:
        """Import files as a release; gives the items."""
        return self.of(tar_gz(self.folder / f"release-{self.count}.tar.gz", files, root), **options)

    def of(self, archive: Path, **options: Any) -> pl.DataFrame:
        """Import an archive; gives the items."""
        self.count += 1
        self.collection, self.report = import_release(
            self.registry,
            self.home,
            f"release@{self.count:08d}",
            archive,
            self.policy,
            ReleaseOptions(**options),
        )
        return scan_items(resolve(self.collection.items_path, self.home)).collect()

    def annotations(self) -> list[dict[str, Any]]:
        """The annotations of the release that was imported last."""
        assert self.collection is not None
        return [
            row
            for operation in self.registry.operations(self.collection.id)
            for row in scan_annotations(resolve(operation.path, self.home)).collect().to_dicts()
        ]

    def refused(self, files: dict[str, Any], **options: Any) -> str:
        """Import files that are refused; gives the message, and sees that nothing is left."""
        with pytest.raises(OnboardingError) as raised:
            self(files, **options)
        assert [path for path in self.home.root.rglob("*") if path.is_file()] == []
        assert not self.registry.collections()
        return f"{raised.value} [{raised.value.code}]"


@pytest.fixture
def imports(tmp_path: Path) -> Iterator[Imports]:
    """Imports into an empty home."""
    with closing(Registry.open(tmp_path / "registry.db")) as registry:
        yield Imports(tmp_path, registry, FactoryHome(tmp_path / "home"), IntakePolicy())
