"""How a broker is reached: whose certificates are trusted, and with which password."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from edgesdk.errors import UsageError
from edgesdk.sinks.uri import SinkUri


def check_certificates(uri: SinkUri, ca: Path | None, *, tls: bool) -> None:
    """Known now rather than in a thread, and never a plain connection where TLS was meant."""
    if ca is None:
        return
    if not tls:
        raise UsageError(f"{uri.shown}: ca is given, but no TLS", "write it as mqtts://")
    try:
        ssl.create_default_context(cafile=str(ca))
    except OSError as error:
        raise UsageError(
            f"{uri.shown}: ca: {ca}: {error.strerror or error}",
            "name a PEM file with certificates",
        ) from error


def password_of(uri: SinkUri, variable: str) -> str:
    """From the environment `variable` where one is named, else from the URI."""
    if not variable:
        return uri.password
    if not uri.user:
        raise UsageError(
            f"{uri.shown}: password_env is given, but no user", "such as mqtts://user@host/topic"
        )
    if variable not in os.environ:
        raise UsageError(
            f"{uri.shown}: the environment variable {variable} is not set",
            f"set it: export {variable}=...",
        )
    return os.environ[variable]
