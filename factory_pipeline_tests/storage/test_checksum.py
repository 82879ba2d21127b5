import hashlib
from pathlib import Path

import pytest

from factory_pipeline.storage.checksum import sha256_of


@pytest.mark.parametrize("content", [b"", b"abc", bytes(3_000_001)])
def test_the_checksum_is_that_of_all_bytes(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert sha256_of(file) == hashlib.sha256(content).hexdigest()
