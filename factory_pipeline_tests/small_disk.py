"""A disk that is soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mount_small_disk(folder: Path, size: str) -> Iterator[None]:
    """Have a disk of a size such as `64k` in a folder; skip the test where this user may not mount one."""
    if not may_mount(folder, size):
        pytest.skip("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def may_mount(folder: Path, size: str) -> bool:
    """Mount a disk of a size in a folder, and return whether this user may."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:  # no program `mount` on PATH
        return False


def resize(folder: Path, size: str) -> None:
    """Give a disk that is mounted another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
