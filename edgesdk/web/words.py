"""Texts of others, made fit to be shown."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_SECRETS = re.compile(r"(?i)\b(password|passwd|pwd|token|key|secret)=[^&\s]*")


def without_secrets(text: str) -> str:
    """`text` without the user and password of an address, and without what looks like a key."""
    return _SECRETS.sub(r"\1=***", _CREDENTIALS.sub("//", text))
