"""The process that has the definitions, for the web server and the daemon together.

A daemon that is told the module alone starts a process with the definitions of its own, and a new one every
minute, each of which imports all of them and begins its runs cold.
"""

import json
import socket
import time
from contextlib import suppress
from pathlib import Path

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient

from factory_pipeline.runs.instance import DEFINITIONS

SECONDS_TO_LOAD = 180
SECONDS_OF_BUSY = 30.0
"""That nobody listens is known at once; a process that is only busy is given up by Dagster after a minute."""


class CodeServer:
    """Dagster's code server on a socket: a process that stays, and below it the one that has the code."""

    def __init__(self, folder: Path) -> None:
        """Write what its clients need.

        Args:
            folder: of this server alone; its path is short, as that of a socket must be.
        """
        self._socket = folder / "code"
        self.workspace = folder / "workspace.yaml"
        """What the web server and the daemon are given with `--workspace`."""
        served = {"socket": str(self._socket), "location_name": DEFINITIONS}
        self.workspace.write_text(json.dumps({"load_from": [{"grpc_server": served}]}), encoding="utf-8")

    @property
    def command(self) -> list[str]:
        """The module that serves, and its arguments."""
        return ["dagster", "code-server", "start", "--socket", str(self._socket), "-m", DEFINITIONS]

    def is_listening(self) -> bool:
        """Return whether it answers, which it does as soon as the definitions are loaded."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        return True

    def revive(self) -> None:
        """Start the process that has the code again, if it was killed: Dagster does so only when asked."""
        client = DagsterGrpcClient(socket=str(self._socket))
        asked = time.monotonic()
        try:
            client.ping("")
        except DagsterUserCodeUnreachableError:
            if time.monotonic() > asked + SECONDS_OF_BUSY:
                return
            # It starts a new process, and then fails to tell the killed one that it is to end.
            with suppress(DagsterUserCodeUnreachableError):
                client.reload_code(SECONDS_TO_LOAD)
