"""What can be said of the page in its URI: web://HOST:PORT?token=...&fps=12&width=960."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass

from edgesdk.errors import UsageError
from edgesdk.sinks.uri import SinkUri, parse_options

TOKEN_VARIABLE = "EDGESDK_WEB_TOKEN"
TOKEN_FORM = re.compile(r"[A-Za-z0-9_.~-]{12,200}")
EXAMPLE = "such as web://127.0.0.1:8080 or web://0.0.0.0:8080?fps=5&width=640"


@dataclass(frozen=True)
class PageOptions:
    """What may stand after the "?"."""

    token: str = ""
    """What a viewer has to know; 12 to 200 letters, digits, "_.~-". Empty: EDGESDK_WEB_TOKEN, and
    without that nothing on this machine itself; elsewhere one is drawn."""
    fps: float = 12.0
    """Pictures a second for each stream, at most; 0.2 to 30."""
    width: int = 960
    """In pixels: wider pictures are scaled down; 160 to 3840."""
    host: str = ""
    """Further names, with commas between, under which browsers may ask for the page: those of a
    proxy, or of this machine."""

    def __post_init__(self) -> None:
        if self.token and not TOKEN_FORM.fullmatch(self.token):
            raise ValueError(
                "token takes 12 to 200 letters, digits and _.~-, and the one given has"
                f" {len(self.token)} characters"
            )
        if not 0.2 <= self.fps <= 30:
            raise ValueError(f"fps should be 0.2 to 30, found {self.fps:g}")
        if not 160 <= self.width <= 3840:
            raise ValueError(f"width should be 160 to 3840, found {self.width}")


@dataclass(frozen=True)
class WebSettings:
    """Where the page is served and how much is sent."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 or [::] for every network of this machine."""
    port: int = 8080
    """0: any free one."""
    token: str = ""
    """What a viewer has to know; empty: nothing, or one is drawn where the page is open to more
    than this machine."""
    fps: float = PageOptions.fps
    """Pictures a second for each stream, at most."""
    width_px: int = PageOptions.width
    """Wider pictures are scaled down."""
    names: tuple[str, ...] = ()
    """Further names under which browsers may ask for the page."""

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def settings_of(uri: SinkUri) -> WebSettings:
    """The settings that a URI states. Raises UsageError for what it cannot be."""
    host, port = uri.host or WebSettings.host, WebSettings.port if uri.port is None else uri.port
    shown = f"web://{uri.host}{'' if uri.port is None else f':{uri.port}'}"
    if uri.place or uri.user or uri.fragment:
        raise UsageError(f"{shown}: a page is named as web://HOST:PORT?OPTIONS", EXAMPLE)
    options = parse_options(PageOptions, uri.query, shown)
    token = options.token or os.environ.get(TOKEN_VARIABLE, "")
    if token and not TOKEN_FORM.fullmatch(token):
        raise UsageError(
            f"{TOKEN_VARIABLE} takes 12 to 200 letters, digits and _.~-,"
            f" and what it has is {len(token)} characters long",
            "python3 -c 'import secrets; print(secrets.token_urlsafe())' draws a good one",
        )
    names = tuple(name.strip().lower() for name in options.host.split(",") if name.strip())
    return WebSettings(host, port, token, options.fps, options.width, names)
