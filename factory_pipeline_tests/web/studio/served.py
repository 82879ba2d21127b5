"""The studio behind a real port, which can be stopped and started again as a person would."""

import socket
import threading

import uvicorn

from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.app import studio_app
from factory_pipeline.web.studio.guard import Access, load_secret
from factory_pipeline_tests.web.studio.visitor import studio_of_home


class ServedStudio:
    """The studio of a home on a port of its own, in a thread of this process."""

    def __init__(self, home: FactoryHome) -> None:
        """Start it."""
        self.home = home
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, with nothing in memory of what was before."""
        self.studio = studio_of_home(self.home)
        app = studio_app(self.studio, Access(load_secret(self.home.studio.secret)))
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)

    def stop(self) -> None:
        """End it, whatever is under way."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(30)
        self.studio.registry.close()
