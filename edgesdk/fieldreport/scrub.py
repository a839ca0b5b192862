"""Takes out of a text what would say whose board it is.

Two ways: values that this machine itself names as its own (host, users, serial numbers, secrets
of the environment) are replaced wherever they stand; what has a form of its own (MAC, UUID,
e-mail, URL, private address, home folder) is replaced by its form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

COMMON = frozenset(
    (
        *("nvidia", "jetson", "ubuntu", "root", "user", "admin", "orin", "xavier", "thor", "nano"),
        *("tegra", "localhost", "edge", "default", "test", "none", "null", "true", "unknown"),
    )
)
"""Names that many boards have: they tell nothing, and to replace them would spoil the text."""
SECRET_NAMES = ("TOKEN", "SECRET", "PASS", "KEY", "CREDENTIAL", "AUTH", "COOKIE", "PRIVATE")
SHORTEST, LONG = 3, 6
"""Characters: a shorter name than the first is left, one shorter than the second has to stand as
a word of its own: it would be found inside of everything."""
USER_NAMES = ("USER", "LOGNAME", "SUDO_USER", "USERNAME")
HOST_NAMES = ("HOSTNAME", "HOST")

_SERIAL_FILES = (
    "proc/device-tree/serial-number",
    "sys/firmware/devicetree/base/serial-number",
    "sys/class/dmi/id/product_serial",
    "sys/class/dmi/id/board_serial",
    "sys/class/dmi/id/product_uuid",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "proc/sys/kernel/random/boot_id",
)
_HEX = "[0-9A-Fa-f]"
_FORMS = (
    ("<mac>", re.compile(rf"(?<![\w:-]){_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5}}(?![\w:-])")),
    ("<uuid>", re.compile(rf"{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}")),
    ("<e-mail>", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("<url>", re.compile(r"\b[a-z][a-z0-9+.-]*://(?!/)[^\s\"'<>]+", re.I)),
    # 10.x.x.x is left: "10.3.0.30" is a version of TensorRT.
    ("<address>", re.compile(r"\b(?:192\.168|172\.(?:1[6-9]|2\d|3[01])|169\.254)(?:\.\d{1,3}){2}")),
    ("<address>", re.compile(r"\b10(?:\.\d{1,3}){3}(?=:\d)")),
    ("<address>", re.compile(r"\bfe80(?::[0-9a-f]{0,4}){2,7}", re.I)),
    (r"\1<user>", re.compile(r"(/(?:home|media|run/media|Users)/)(?!<)[^/\s\"':]+")),
)


@dataclass(frozen=True)
class Secrets:
    """What belongs to this machine and to nobody's report: (value, what stands instead)."""

    values: tuple[tuple[str, str], ...] = ()

    def scrub(self, text: str) -> str:
        """The text without any of it."""
        for value, instead in self.values:
            text = _standing(value).sub(instead, text)
        for instead, form in _FORMS:
            text = form.sub(instead, text)
        return text


def find_secrets(root: Path, environment: Mapping[str, str], home: Path) -> Secrets:
    """Look for them in `root` (the machine's files) and in the environment. Raises nothing."""
    found: dict[str, str] = {}
    _add(found, "<secret>", _environment_secrets(environment), shortest=6)
    _add(found, "<serial>", (_text(root / name) for name in _SERIAL_FILES), shortest=6)
    cards = sorted((root / "sys/class/net").glob("*/address"))
    _add(found, "<mac>", (_text(card) for card in cards if "00:00:00" not in _text(card)))
    _add(found, "~", [str(home)] if str(home) != "/" else [])
    hosts = [_text(root / "etc/hostname"), _text(root / "proc/sys/kernel/hostname")]
    hosts += [environment.get(name, "") for name in HOST_NAMES]
    _add(found, "<host>", (part for host in hosts for part in (host, host.split(".")[0])))
    _add(found, "<user>", [*(environment.get(name, "") for name in USER_NAMES), home.name])
    _add(found, "<user>", _users(root))
    # Longest first: a host named after its user would otherwise leave its rest behind.
    return Secrets(tuple(sorted(found.items(), key=lambda item: -len(item[0]))))


def _standing(value: str) -> re.Pattern[str]:
    """Where a value stands: as it is, or as JSON escapes it; a short one only as a whole word."""
    forms = sorted({value, json.dumps(value, ensure_ascii=False)[1:-1]}, key=len, reverse=True)
    either = "|".join(map(re.escape, forms))
    if len(value) >= LONG:
        return re.compile(either)
    return re.compile(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])")


def _users(root: Path) -> Iterable[str]:
    """People among the accounts of passwd(5): their numbers begin at 1000."""
    for line in _text(root / "etc/passwd").split("\n"):
        fields = line.split(":")
        if len(fields) >= 3 and fields[2].isdigit() and 1000 <= int(fields[2]) < 60000:
            yield fields[0]


def _environment_secrets(environment: Mapping[str, str]) -> Iterable[str]:
    return (
        value
        for name, value in environment.items()
        if any(part in name.upper() for part in SECRET_NAMES) and not value.startswith("/")
    )


def _add(
    found: dict[str, str], instead: str, values: Iterable[str], shortest: int = SHORTEST
) -> None:
    for value in values:
        if len(value) >= shortest and value.lower() not in COMMON:
            found.setdefault(value, instead)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
