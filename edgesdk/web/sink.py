"""The page as a sink of a pipeline."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.protocols import Sink
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.uri import SinkUri
from edgesdk.web.access import Access, with_token
from edgesdk.web.board import Board
from edgesdk.web.pictures import Pictures
from edgesdk.web.server import Content, Server, bind
from edgesdk.web.settings import WebSettings, settings_of


def make_sink(uri: SinkUri, facts: SinkFacts) -> Sink:
    """The page that `uri` names; it is served from now on.

    Raises UsageError for a bad URI or a port that is taken, MissingExtra without the extra `web`.
    """
    return WebPage(settings_of(uri), facts, uri.name)


class WebPage:
    """Shows a running app to anyone who may see it; owns the server's thread and the encoder's."""

    def __init__(self, settings: WebSettings, facts: SinkFacts, name: str = "web") -> None:
        """Raises as `make_sink` does."""
        self.name = name
        settings = with_token(settings)
        self._board = Board(facts)
        self.pictures = Pictures(facts.draw, settings.fps, settings.width_px, self._publish)
        bound = bind(settings.host, settings.port)
        port = int(bound.getsockname()[1])
        self.address = _address(settings, port)
        """What to open in a browser, with the token where there is one: to be printed, not logged.
        """
        try:
            content = Content(self._board.message, lambda: self._board.streams, self.pictures.watch)
            self.server = Server(bound, Access(settings, port), content)
        except BaseException:
            bound.close()
            raise
        self.pictures.start()

    def observe(self, sinks: Sequence[Sink]) -> None:
        """The other sinks, whose figures are shown too."""
        self._board.observe([sink for sink in sinks if sink is not self])

    def accept(self, packet: Packet) -> None:
        """Count it, and draw its picture when one is due."""
        self.pictures.offer(self._board.add(packet), packet)

    def tell(self, packet: Packet) -> None:
        """Show what was left to tell."""
        self._board.tell(packet)

    def close(self) -> None:
        """Free the port, whoever looks."""
        self.pictures.close(1.0)
        self.server.close()

    def _publish(self, stream: int, jpeg: bytes) -> None:
        self.server.publish(stream, jpeg)


def _address(settings: WebSettings, port: int) -> str:
    """The address as people type it."""
    host = settings.host
    if host in {"0.0.0.0", "::"}:
        host = settings.names[0] if settings.names else _own_address()
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={settings.token}" if settings.token else "")


def _own_address() -> str:
    """This machine's address on the network that leads outside; a phone rarely knows its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # asks the routing table; nothing is sent
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
