"""The queue on the disk: bounded, in order, one run at a time, and it survives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edgesdk.errors import EdgeError, UsageError
from edgesdk.sinks.backoff import BackOff
from edgesdk.sinks.delivery import Delivery, Ending
from edgesdk.sinks.outbox import Outbox, default_outbox
from tests.sinks.samples import eventually, facts, packet


def messages(*numbers: int) -> list[tuple[str, str]]:
    return [(f"id{n}", f"body{n}") for n in numbers]


def test_messages_come_out_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "box.sqlite", 100)
    outbox.add(messages(1, 2))
    outbox.add(messages(3))
    assert [m.id for m in outbox.oldest(10)] == ["id1", "id2", "id3"]
    first = outbox.oldest(1)[0]
    assert [m.body for m in outbox.oldest(10, first.number)] == ["body2", "body3"]
    outbox.remove([first.number])
    outbox.remove([first.number])
    assert outbox.size == 2
    outbox.close()


def test_what_was_not_delivered_is_there_in_the_next_run(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "box.sqlite", 100)
    outbox.add(messages(1, 2, 3))
    outbox.remove([outbox.oldest(1)[0].number])
    outbox.close()
    again = Outbox(tmp_path / "box.sqlite", 100)
    assert again.size == 2
    assert [m.id for m in again.oldest(10)] == ["id2", "id3"]
    again.close()


def test_when_it_is_full_the_oldest_make_room_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path / "box.sqlite", 5)
    outbox.add(messages(1, 2, 3, 4))
    assert outbox.dropped == 0
    outbox.add(messages(5, 6, 7))
    assert [m.id for m in outbox.oldest(10)] == ["id3", "id4", "id5", "id6", "id7"]
    assert outbox.dropped == 2
    outbox.add(messages(*range(100, 120)))
    assert outbox.size == 5
    assert outbox.dropped == 22
    assert caplog.text.count("is full (5 messages)") == 1
    outbox.close()


def test_two_runs_cannot_send_from_the_same_one(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "box.sqlite", 5)
    with pytest.raises(UsageError, match="another run sends from this outbox"):
        Outbox(tmp_path / "box.sqlite", 5)
    outbox.close()
    Outbox(tmp_path / "box.sqlite", 5).close()


def test_a_damaged_one_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    path.write_bytes(os.urandom(9000))
    with pytest.raises(EdgeError, match=r"box\.sqlite cannot be used.*\n.*move the file away"):
        Outbox(path, 5)
    assert path.stat().st_size == 9000


def test_a_kill_loses_nothing_that_was_added(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    code = f"""
        from pathlib import Path
        from edgesdk.sinks.outbox import Outbox
        outbox = Outbox(Path("{path}"), 10**6)
        for n in range(10**9):
            outbox.add([(f"id{{n}}", "body" * 100)])
            print(n, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        for line in writer.stdout:
            if int(line) >= 100:
                writer.send_signal(signal.SIGKILL)
                break
    outbox = Outbox(path, 10**6)
    assert outbox.size >= 101
    assert [m.id for m in outbox.oldest(101)] == [f"id{n}" for n in range(101)]
    outbox.close()


class Reluctant(Outbox):
    """Its disk is full the first two times."""

    refusals = 2

    def add(self, messages: Sequence[tuple[str, str]]) -> None:
        if self.refusals:
            self.refusals -= 1
            time.sleep(0.1)  # more comes meanwhile
            raise EdgeError("the disk is full")
        super().add(messages)


class Nobody:
    """Delivers nothing."""

    def run(self, outbox: Outbox, ending: Ending) -> None:
        while not ending.over(outbox.size):
            ending.wait(0.01)

    def gauges(self) -> Mapping[str, float]:
        return {}


def test_what_the_disk_refused_is_stored_later_in_its_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Reluctant(tmp_path / "box.sqlite", 1000)
    sink = Delivery("hook", facts(), outbox, Nobody(), 0.0)
    for index in range(100):
        sink.accept(packet(index, "car"))
        time.sleep(0.01)  # several transactions, were it not refused
    eventually(lambda: outbox.size == 100)
    assert [m.id for m in outbox.oldest(100)] == [f"RUN/cam/{n}" for n in range(1, 101)]
    sink.close()
    assert caplog.text.count("the disk is full; trying again") == 1


def test_its_usual_place_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    path = default_outbox("gate", "webhook", "https://host/hook?token=s3cret")
    assert path.parent == Path("/state/edgesdk/outbox")
    assert path.name.startswith("gate-webhook-")
    assert "s3cret" not in path.name
    assert path != default_outbox("gate", "webhook", "https://host/hook?token=other")


def test_pauses_grow_to_a_cap_and_differ() -> None:
    pauses = BackOff(first_s=1.0, cap_s=8.0)
    drawn = [pauses.next_s() for _ in range(60)]
    for pause_s, full_s in zip(drawn, [1, 2, 4, 8, 8, 8], strict=False):
        assert full_s / 2 <= pause_s <= full_s
    assert max(drawn) <= 8.0
    assert len(set(drawn[3:])) > 40
    pauses.reset()
    assert pauses.next_s() <= 1.0
