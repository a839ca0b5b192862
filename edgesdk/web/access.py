"""Who may see the page: names it answers to, the token, and headers for every answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie

from edgesdk.web.settings import WebSettings

Headers = dict[str, str]

SECURITY: Headers = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def with_token(settings: WebSettings) -> WebSettings:
    """The settings with a token of 192 random bits where one is needed and none was given."""
    if settings.token or settings.loopback:
        return settings
    return replace(settings, token=secrets.token_urlsafe(24))


class Access:
    """Decides from the headers of a request."""

    def __init__(self, settings: WebSettings, port: int) -> None:
        """`port` is the one that was bound; the cookie's name has it, as cookies ignore ports."""
        self._settings = settings
        self._cookie = f"edgesdk_{port}"
        # Not the token itself, yet the same after a restart: a page left open finds back.
        self._pass = hmac.new(settings.token.encode(), b"edgesdk page", hashlib.sha256).hexdigest()
        own = socket.gethostname().lower()
        self._names = {"localhost", *settings.names}
        if not settings.loopback:
            self._names |= {own, f"{own}.local", settings.host}

    def knows_host(self, host: str) -> bool:
        """False for a name that is not ours: a page of another site whose name leads here.

        An address is never such a name; but on loopback it has to be a loopback address.
        """
        name = _without_port(host).lower()
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._settings.loopback

    def foreign(self, headers: Headers) -> bool:
        """True when the browser says that another site's page asks."""
        return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}

    def admits(self, headers: Headers, token: str) -> bool:
        """True with the right token, with the cookie that it earned, or where none is needed."""
        if not self._settings.token:
            return True
        if _same(token, self._settings.token):
            return True
        return _same(_cookie(headers.get("cookie", ""), self._cookie), self._pass)

    def earns_cookie(self, token: str) -> bool:
        """True when the request brought the token itself."""
        return bool(self._settings.token) and _same(token, self._settings.token)

    @property
    def set_cookie(self) -> str:
        """The header that spares the viewer the token from then on."""
        return f"{self._cookie}={self._pass}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _cookie(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
