"""The page's token is shown to whoever starts the run at a terminal, and to no journal."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'edgesdk[web]'")
pytest.importorskip("onnxruntime")

COMMAND = [
    *(sys.executable, "-m", "edgesdk", "run", "traffic_counting"),
    *(
        "--source",
        "sim://traffic?seed=3&frames=1000000",
        "--sink",
        "web://0.0.0.0:0?host=127.0.0.1",
    ),
]


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_log_gets_the_address_without_the_token_and_where_to_find_it(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state of ann")}
    with subprocess.Popen(
        COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as run:
        assert run.stderr is not None
        line = next(line for line in run.stderr if line.startswith("  web: "))
        found = re.fullmatch(
            r"  web: (http://127\.0\.0\.1:\d+/) \(with its token: cat (.+)\)\n", line
        )
        assert found, line
        plain, (cat, name) = found[1], shlex.split(found[2])
        kept = Path(name)
        assert cat == "cat"
        assert kept.stat().st_mode & 0o777 == 0o600
        whole = kept.read_text().strip()
        assert status(plain) == 401
        assert status(whole) == 200
        run.send_signal(signal.SIGINT)
        _, rest = run.communicate(timeout=60)
    assert run.returncode == 130, rest
    token = whole.partition("?token=")[2]
    assert token
    assert token not in line + rest
    assert not kept.exists()


def test_a_terminal_gets_the_whole_address(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        COMMAND, stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    ) as run:
        os.close(theirs)
        said = b""
        while b"token=" not in said or not said.endswith(b"\n"):
            said += os.read(ours, 1)
        run.kill()
    os.close(ours)
    found = re.search(rb"  web: (http\S+)", said)
    assert found
    assert re.fullmatch(rb"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", found[1])
    assert not list(tmp_path.iterdir())
