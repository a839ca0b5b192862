"""What can be said of the page in its URI: web://HOST:PORT?token=...&fps=12&width=960."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass

from edgesdk.errors import UsageError
from edgesdk.sinks.uri import SinkUri, parse_options

TOKEN_FORM = re.compile(r"[A-Za-z0-9_.~-]{12,200}")
EXAMPLE = "such as web://127.0.0.1:8080 or web://0.0.0.0:8080?fps=5&width=640"


def check_token(token: str) -> None:
    """Raises ValueError for a token that can be guessed or that an address cannot carry."""
    if token and not TOKEN_FORM.fullmatch(token):
        raise ValueError(
            "a token takes 12 to 200 letters, digits and _.~-, and the one given has"
            f" {len(token)} characters"
        )


@dataclass(frozen=True)
class PageOptions:
    """What may stand after the "?"."""

    token: str = ""
    """What a viewer has to know; 12 to 200 letters, digits, "_.~-". Empty: nothing on this machine
    itself; elsewhere one is drawn."""
    token_env: str = ""
    """Environment variable with the token, so that no list of processes shows it."""
    fps: float = 12.0
    """Pictures a second for each stream, at most; 0.2 to 30."""
    width: int = 960
    """In pixels: wider pictures are scaled down; 160 to 3840."""
    host: str = ""
    """Further names, with commas between, under which browsers may ask for the page: those of a
    proxy, or of this machine."""

    def __post_init__(self) -> None:
        if self.token and self.token_env:
            raise ValueError("token and token_env exclude each other")
        check_token(self.token)
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
    token = _from_environment(options.token_env, shown) if options.token_env else options.token
    names = tuple(name.strip().lower() for name in options.host.split(",") if name.strip())
    return WebSettings(host, port, token, options.fps, options.width, names)


def _from_environment(name: str, shown: str) -> str:
    token = os.environ.get(name, "")
    if not token:
        raise UsageError(
            f"{shown}: the environment variable {name} is not set, or is empty",
            f"export {name}=$(python3 -c 'import secrets; print(secrets.token_urlsafe())')",
        )
    try:
        check_token(token)
    except ValueError as error:
        raise UsageError(f"{shown}: {name}: {error}") from error
    return token
