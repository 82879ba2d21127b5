"""Checks of the object store that a factory home is on."""

import time
import uuid
from typing import TYPE_CHECKING

from factory_pipeline.errors import WrittenMeanwhileError
from factory_pipeline.runs.finding import Finding, compare_clocks
from factory_pipeline.storage.atomic import working_path, write_text
from factory_pipeline.storage.stored_path import StoredPath

if TYPE_CHECKING:
    from factory_pipeline.storage.layout import FactoryHome


def check_store(home: "FactoryHome") -> Finding:
    """Check that objects can be written, read and removed, and that of two writers at once one is told.

    Args:
        home: on an object store.

    Raises:
        StoreError: the store refuses or does not answer.
    """
    assert isinstance(home.root, StoredPath)
    probe = home.root / f"doctor-{uuid.uuid4().hex}"
    try:
        write_text(probe, "first")
        write_text(probe, "second")
        if probe.read_text(encoding="utf-8") != "second":
            return Finding("store", "failed", f"{home.root} returned other bytes than were written.")
        if not _refuses_second_writer(probe):
            return Finding(
                "store",
                "warning",
                f"{home.root} can be read and written, but knows no conditional puts.",
                "Do not let two processes write one file at the same time: the last one wins unseen.",
            )
    finally:
        probe.unlink(missing_ok=True)
    return Finding("store", "ok", f"Objects in {home.root} can be read, written once and replaced.")


def _refuses_second_writer(probe: StoredPath) -> bool:
    content = working_path(probe.with_name(f".{probe.name}"))
    content.write_text("third", encoding="utf-8")
    try:
        probe.bucket.put(probe.key, content, None)
    except WrittenMeanwhileError:
        return True
    finally:
        content.unlink()
    return False


def check_store_clock(home: "FactoryHome") -> Finding:
    """Check that the store's times agree with this machine's clock.

    Args:
        home: on an object store.

    Raises:
        StoreError: the store refuses or does not answer.
    """
    probe = home.root / f"doctor-{uuid.uuid4().hex}"
    try:
        write_text(probe, "")
        return compare_clocks(f"objects in {home.root}", "store", probe.stat().st_mtime - time.time())
    finally:
        probe.unlink(missing_ok=True)
