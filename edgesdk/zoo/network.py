"""Downloading by https, or from this machine itself: never from anywhere else."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import IO
from urllib.parse import urlsplit

from edgesdk._version import __version__
from edgesdk.errors import EdgeError

_TIMEOUT_S = 30.0
_BLOCK_BYTES = 1 << 18
_LOCAL = {"127.0.0.1", "localhost"}


def blocks(url: str, instead: str) -> Iterator[bytes]:
    """The body of the URL in blocks. `instead` is what to do where it cannot be had.

    Network errors become EdgeError here, so that the others are the caller's.
    """
    try:
        with _open(url) as response:
            while block := response.read(_BLOCK_BYTES):
                yield block
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise EdgeError(
            f"{url} cannot be downloaded: {getattr(error, 'reason', '') or error}",
            f"check the network and run it again, or {instead}",
        ) from error


def _open(url: str) -> IO[bytes]:
    _check_scheme(url)
    opener = urllib.request.build_opener(_SafeRedirect)
    request = urllib.request.Request(url, headers={"User-Agent": f"edgesdk/{__version__}"})
    response: IO[bytes] = opener.open(request, timeout=_TIMEOUT_S)
    return response


class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where a first request could have gone."""

    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            _check_scheme(newurl)
        except EdgeError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise EdgeError(
            f"{url} is not an https address", "give an https URL in the model's file of the zoo"
        )
