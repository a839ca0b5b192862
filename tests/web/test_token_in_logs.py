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
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def running(state: Path, stderr: int) -> Iterator[subprocess.Popen[str]]:
    """The run; killed if it is still there at the end, so that a failed test leaves none."""
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    with subprocess.Popen(
        COMMAND, stdout=subprocess.DEVNULL, stderr=stderr, text=True, env=environment
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_log_gets_the_address_without_the_token_and_where_to_find_it(tmp_path: Path) -> None:
    with running(tmp_path / "state of ann", subprocess.PIPE) as run:
        assert run.stderr is not None
        line = next(line for line in run.stderr if line.startswith("  web: "))
        found = re.fullmatch(r"  web: (http://127\.0\.0\.1:\d+/) \(with its token: (.+)\)\n", line)
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
    ours, theirs = pty.openpty()
    with running(tmp_path, theirs):
        os.close(theirs)
        said = b""
        while b"token=" not in said or not said.endswith(b"\n"):
            said += os.read(ours, 1)
    os.close(ours)
    found = re.search(rb"  web: (http\S+)", said)
    assert found
    assert re.fullmatch(rb"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", found[1])
    assert not list(tmp_path.iterdir())
