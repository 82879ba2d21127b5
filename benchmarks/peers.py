"""Installs the peers into the environment of the interpreter that runs this, each or the reason why not.

It is meant for an environment of its own: `make bench-peers`.
"""

import json
import re
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.other_python import APART, python_apart
from benchmarks.report import table
from factory_pipeline.redaction import hide_addresses

PEERS = Path(__file__).with_name("peers.txt")
LOCK = Path(__file__).parents[1] / "requirements.lock"
LEFT_OUT = Path(sys.prefix) / "peers-left-out.json"
"""Reasons by name, of the last installation."""
IN_SCRIPTS = {"lazycogs": ("pystac-client",), "rasteret": ()}
"""Peers that need other versions than the project's pins, and what their scripts import beside them."""


def main() -> None:
    """Install one peer after the other; the project's own packages keep their versions."""
    reasons = {}
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        pins.write_text("\n".join(pinned(LOCK.read_text(encoding="utf-8"))))
        for peer in listed_peers():
            reason = _install_apart(peer) if peer.name in IN_SCRIPTS else _install(peer, pins)
            if reason is not None:
                reasons[peer.name] = reason
            print(f"{peer.name}: {reason or 'installed'}", flush=True)
    LEFT_OUT.write_text(json.dumps(reasons, indent=2))


def listed_peers() -> list[Requirement]:
    """Return the peers of `peers.txt` with their versions."""
    lines = (line.partition("#")[0].strip() for line in PEERS.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def pinned(lock: str) -> list[str]:
    """Return the packages of a lock file with their versions, as constraints: without hashes and extras."""
    lines = (line.partition(" \\")[0] for line in lock.splitlines() if "==" in line)
    return [re.sub(r"\[.*?\]", "", line) for line in lines if not line.startswith((" ", "#"))]


def installed_peers() -> str:
    """Return a table of the peers: the version that is measured, or why there is none."""
    reasons = json.loads(LEFT_OUT.read_text()) if LEFT_OUT.exists() else {}
    rows = []
    for peer in listed_peers():
        found = _version(peer.name)
        rows.append((peer.name, found or reasons.get(peer.name, "not installed: make bench-peers")))
    return table("Peers", ("package", "version"), rows)


def _version(name: str) -> str | None:
    """Return the version of an installed peer, in this environment or one of its own."""
    try:
        return version(name)
    except PackageNotFoundError:
        folders = [str(folder) for folder in (APART / name).glob("lib/*/site-packages")]
        return next((found.version for found in distributions(name=name, path=folders)), None)


def _install(peer: Requirement, pins: Path) -> str | None:
    """Install a peer; return why not."""
    return _missing_python(peer) or _run_pip(sys.executable, "--constraint", str(pins), str(peer))


def _install_apart(peer: Requirement) -> str | None:
    """Install a peer into an environment of its own; return why not."""
    if reason := _missing_python(peer):
        return reason
    venv.create(APART / peer.name, with_pip=True, clear=True)
    return _run_pip(str(python_apart(peer.name)), str(peer), *IN_SCRIPTS[peer.name])


def _missing_python(peer: Requirement) -> str | None:
    if peer.marker is not None and not peer.marker.evaluate():
        return f"left out: needs {peer.marker}"
    return None


def _run_pip(python: str, *arguments: str) -> str | None:
    """Install packages for an interpreter; return why not."""
    command = [python, "-m", "pip", "install", "--quiet", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode == 0:
        return None
    said = [line.removeprefix("ERROR: ") for line in ended.stderr.splitlines() if line.startswith("ERROR")]
    return f"left out: {hide_addresses(said[-1]) if said else f'pip ended with {ended.returncode}'}"


if __name__ == "__main__":
    main()
