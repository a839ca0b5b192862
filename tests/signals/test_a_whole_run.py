"""`edgesdk run` of an inspection app with a PLC behind it: every verdict, and the safe ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesdk._optional import available
from tests.command import edgesdk
from tests.inspection.app import make_app
from tests.partners.modbus_server import ABSENT, INSTALLED, ModbusServer

pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason=ABSENT),
    pytest.mark.skipif(not available("onnxruntime"), reason="needs onnxruntime"),
]

COIL, REGISTER = 3, 20


@pytest.mark.parametrize(
    ("source", "policy"),
    [
        ("sim://line?seed=4&frames=100&rate=240", "newest"),
        ("sim://line?seed=5&frames=150&rate=1200&fps=50&defects=0.2&live=1", "all"),
    ],
    ids=["newest", "20 parts a second, all"],
)
def test_the_plc_gets_every_verdict_of_the_record(tmp_path: Path, source: str, policy: str) -> None:
    app = make_app(tmp_path / "made_line")
    options = f"pulse=0&tolerance=60s&dead_after=60s&heartbeat=60s&part_register={REGISTER}"
    with ModbusServer(tmp_path) as plc:
        ran = edgesdk(
            *("run", str(app), "--events", str(tmp_path / "v.jsonl"), "--policy", policy),
            *("--source", source),
            *("--sink", f"modbus://127.0.0.1:{plc.port}/coil/{COIL}?{options}"),
        )
        written = plc.written()
    assert ran.returncode == 0, ran.stderr
    verdicts = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert len(verdicts) > 5
    coil = [row.value for row in written if row.table == "coil"]
    assert (coil[0], coil[-1]) == (1, 1)
    level, given = 1, dict[int, str]()
    for row in written:
        if row.table == "coil":
            level = row.value
        elif row.value:
            given[row.value - 1] = "reject" if level else "pass"
    wanted = {each["part"]: each["outcome"] for each in verdicts}
    if verdicts[-1]["part"] not in given:  # It came as the run ended, and failed safe.
        del wanted[verdicts[-1]["part"]]
    assert given == wanted


def test_an_app_that_counts_is_told_that_it_has_no_verdicts(tmp_path: Path) -> None:
    source = "sim://traffic?seed=3&frames=2"
    ran = edgesdk("run", "traffic_counting", "--source", source, "--sink", "modbus://plc/coil/3")
    assert ran.returncode == 2
    assert "tells crossing events and no verdicts" in ran.stderr
