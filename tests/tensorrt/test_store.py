"""Where engines are kept, what is found again, and what is refused before TensorRT sees it.

The engines here are a header and nothing: these tests show our rules, not that TensorRT would load
what they let through.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk._files import Part
from edgesdk.backends.tensorrt.engines import store as store_module
from edgesdk.backends.tensorrt.engines.admission import admitted, trusted
from edgesdk.backends.tensorrt.engines.record import read_record
from edgesdk.backends.tensorrt.engines.store import EngineStore, StoredEngine
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings
from edgesdk.errors import BackendError, EdgeError
from tests.tensorrt.engines import ORIN, bundle, double, key, plan, record

DLA = EngineSettings(dla=DlaSettings(0))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineStore:
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path / "cache"))
    return EngineStore.beside(bundle(tmp_path / "model.edge"))


def saved(
    store: EngineStore, host: Host = ORIN, settings: EngineSettings | None = None
) -> StoredEngine:
    return store.save(plan(), record(key(store, host, settings)))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


# --- keeping and finding ----------------------------------------------------------------------


def test_an_engine_is_a_plain_tensorrt_file_with_a_json_beside_it(store: EngineStore) -> None:
    stored = saved(store)
    name = key(store).fingerprint
    assert stored.path.parent.name == "model.edge.engines"
    assert names(stored.path.parent) == [f"{name}.engine", f"{name}.json"]
    assert stored.path.read_bytes() == plan()
    told = json.loads(stored.path.with_suffix(".json").read_text())
    assert told["key"]["graph"] == double().digest
    assert told["key"]["host"]["tensorrt"] == "10.3.0"
    assert told["size_bytes"] == len(plan())
    sums = subprocess.run(["sha256sum", stored.path], capture_output=True, text=True, check=True)
    assert sums.stdout.startswith(told["sha256"])
    assert stored.record.precisions == {"int8": 2, "fp32": 1}


def test_what_was_saved_is_found_by_its_key_and_by_no_other(store: EngineStore) -> None:
    stored = saved(store)
    assert store.find(key(store)) == stored
    assert store.load(stored, key(store)) == plan()
    assert store.find(key(store, settings=DLA)) is None
    assert store.find(key(store, replace(ORIN, power_mode="2"))) is None


def test_saving_again_replaces_the_engine(store: EngineStore) -> None:
    saved(store)
    newer = store.save(plan() + b"more", record(key(store)))
    assert store.load(newer, key(store)) == plan() + b"more"
    assert len(names(newer.path.parent)) == 2


def test_another_power_mode_may_use_an_engine_and_is_told(store: EngineStore) -> None:
    saved(store)
    today = replace(ORIN, power_mode="2", sm_count=4)
    found = store.usable(today)
    assert found is not None
    assert [d.field for d in found.differences] == ["sm_count", "power_mode"]
    assert store.load(found, key(store, today)) == plan()


def test_the_engine_of_this_power_mode_is_preferred(store: EngineStore) -> None:
    mine = saved(store)
    saved(store, replace(ORIN, power_mode="2"))
    assert store.usable(ORIN) == mine


def test_what_was_compiled_last_decides_the_settings(store: EngineStore) -> None:
    saved(store)
    saved(store, settings=DLA)
    found = store.usable(ORIN)
    assert found is not None
    assert found.record.key.settings == DLA
    plain = store.usable(ORIN, EngineSettings())
    assert plain is not None
    assert plain.record.key.settings == EngineSettings()
    assert store.usable(ORIN, EngineSettings(optimization_level=5)) is None


def test_after_an_update_of_jetpack_no_engine_is_usable(store: EngineStore) -> None:
    saved(store)
    assert store.usable(replace(ORIN, tensorrt="10.13.3")) is None


def test_a_version_compatible_engine_is_usable_after_an_update(store: EngineStore) -> None:
    asked = EngineSettings(version_compatible=True)
    stored = saved(store, settings=asked)
    later = replace(ORIN, tensorrt="10.13.3")
    found = store.usable(later)
    assert found is not None
    assert [(d.field, d.refuses) for d in found.differences] == [("tensorrt", False)]
    assert store.load(stored, key(store, later, asked)) == plan()


# --- refusing ---------------------------------------------------------------------------------


def refused(store: EngineStore, stored: StoredEngine, host: Host = ORIN) -> str:
    with pytest.raises(BackendError) as caught:
        store.load(stored, key(store, host))
    assert f"edgesdk compile {store.bundle}" in caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("field", "today"),
    [("tensorrt", "10.13.3"), ("compute_capability", "11.0"), ("module", "agx-orin-64gb")],
)
def test_a_foreign_engine_is_refused_with_both_values_and_the_command(
    store: EngineStore, field: str, today: str
) -> None:
    stored = saved(store)
    said = refused(store, stored, replace(ORIN, **{field: today}))  # type: ignore[arg-type]
    assert getattr(ORIN, field) in said
    assert today in said
    assert stored.path.name in said


def test_an_engine_with_other_settings_is_refused(store: EngineStore) -> None:
    assert "dla" in refused(store, saved(store, settings=DLA))


def test_an_engine_of_the_bundle_as_it_was_before_is_refused(
    store: EngineStore, tmp_path: Path
) -> None:
    stored = saved(store)
    newer = EngineStore.beside(bundle(tmp_path / "model.edge", factor=3.0))
    said = refused(newer, stored)
    assert double(2.0).digest[:12] in said
    assert double(3.0).digest[:12] in said


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_flipped_byte_is_found(store: EngineStore, place: int) -> None:
    stored = saved(store)
    data = bytearray(stored.path.read_bytes())
    data[place] ^= 1
    stored.path.write_bytes(data)
    said = refused(store, stored)
    assert "no TensorRT engine" in said if place == 0 else "not the engine that was built" in said


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(plan()) - 1), change=st.integers(1, 255))
def test_no_changed_byte_goes_through(store: EngineStore, place: int, change: int) -> None:
    stored = saved(store)
    data = bytearray(plan())
    data[place] ^= change
    stored.path.write_bytes(data)
    refused(store, stored)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_json_with_a_changed_character_vouches_for_the_same_or_for_nothing(
    store: EngineStore, data: st.DataObject
) -> None:
    stored = saved(store)
    path = stored.path.with_suffix(".json")
    text = path.read_text()
    place = data.draw(st.integers(0, len(text) - 1))
    path.write_text(text[:place] + data.draw(st.characters(codec="ascii")) + text[place + 1 :])
    try:
        taken = read_record(path)
    except BackendError:
        refused(store, stored)
        return
    # Another power mode or number of multiprocessors is used all the same.
    fits = not any(each.refuses for each in taken.key.differences(stored.record.key))
    assert (fits and taken.sha256 == stored.record.sha256) == vouched(store, stored)


def vouched(store: EngineStore, stored: StoredEngine) -> bool:
    try:
        return store.load(stored, key(store)).startswith(plan())
    except BackendError:
        return False


def test_a_truncated_engine_is_found(store: EngineStore) -> None:
    stored = saved(store)
    os.truncate(stored.path, 100)
    assert "not the engine that was built" in refused(store, stored)
    os.truncate(stored.path, 0)
    assert "empty" in refused(store, stored)


def test_the_json_of_another_engine_does_not_vouch(store: EngineStore) -> None:
    stored, other = saved(store), saved(store, replace(ORIN, power_mode="2"))
    other.path.write_bytes(plan() + b"evil")
    shutil.copy(other.path, stored.path)
    assert "not the engine that was built" in refused(store, stored)
    shutil.copy(
        saved(store, settings=DLA).path.with_suffix(".json"), stored.path.with_suffix(".json")
    )
    assert "dla" in refused(store, stored)


def test_an_engine_without_a_json_is_refused_and_the_way_to_trust_it_is_named(
    store: EngineStore,
) -> None:
    stored = saved(store)
    stored.path.with_suffix(".json").unlink()
    with pytest.raises(BackendError, match="runs what is in it") as caught:
        store.load(stored, key(store))
    assert "--trust" in caught.value.hint
    assert store.find(key(store)) is None
    assert store.usable(ORIN) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table.update(colour="red"),
        lambda table: table["key"].update(colour="red"),
        lambda table: table.pop("sha256"),
        lambda table: table.update(format=2),
        lambda table: table.update(sha256=None),
        lambda table: table["key"]["settings"].update(optimization_level=77),
        lambda table: table.update(layers="none"),
    ],
    ids=["key", "nested key", "missing", "newer format", "null", "level", "layers"],
)
def test_a_json_that_is_not_ours_vouches_for_nothing(store: EngineStore, spoil) -> None:  # type: ignore[no-untyped-def]
    stored = saved(store)
    path = stored.path.with_suffix(".json")
    table = json.loads(path.read_text())
    spoil(table)
    path.write_text(json.dumps(table))
    assert path.name in refused(store, stored)
    assert store.find(key(store)) is None
    assert store.stored() == ()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'"a"'])
def test_a_damaged_json_vouches_for_nothing(store: EngineStore, text: bytes) -> None:
    stored = saved(store)
    stored.path.with_suffix(".json").write_bytes(text)
    refused(store, stored)


def test_a_link_out_of_the_folder_is_not_followed(store: EngineStore, tmp_path: Path) -> None:
    stored = saved(store)
    elsewhere = tmp_path / "elsewhere.engine"
    stored.path.rename(elsewhere)
    stored.path.symlink_to(elsewhere)
    assert "a link" in refused(store, stored)
    json_path = stored.path.with_suffix(".json")
    json_path.rename(tmp_path / "elsewhere.json")
    json_path.symlink_to(tmp_path / "elsewhere.json")
    assert "a link" in refused(store, stored)


def test_a_pipe_in_the_place_of_an_engine_does_not_hang(store: EngineStore) -> None:
    stored = saved(store)
    stored.path.unlink()
    os.mkfifo(stored.path)
    assert "no plain file" in refused(store, stored)


def test_an_engine_whose_own_header_names_another_tensorrt_is_refused(store: EngineStore) -> None:
    stored = store.save(plan(version=(10, 13, 3, 9)), record(key(store)))
    said = refused(store, stored)
    assert "10.13.3" in said
    assert "10.3.0" in said


def test_the_header_of_8_5_says_nothing(store: EngineStore) -> None:
    old = replace(ORIN, tensorrt="8.5.2")
    stored = store.save(plan(version=(17, 9, 9, 9)), record(key(store, old)))
    assert store.load(stored, key(store, old)) == plan(version=(17, 9, 9, 9))


def test_trust_still_asks_whether_it_is_an_engine_of_this_tensorrt(
    store: EngineStore, tmp_path: Path
) -> None:
    path = tmp_path / "mine.engine"
    path.write_bytes(plan())
    assert trusted(path, key(store), "model.edge").data == plan()
    later = replace(ORIN, tensorrt="10.13.3")
    with pytest.raises(BackendError, match=r"10\.13\.3"):
        trusted(path, key(store, later), "model.edge")
    asked = EngineSettings(version_compatible=True)
    assert trusted(path, key(store, later, asked), "model.edge").data == plan()
    with pytest.raises(BackendError, match=r"8\.6\.2"):
        trusted(path, key(store, replace(ORIN, tensorrt="8.6.2"), asked), "model.edge")
    path.write_bytes(double().to_bytes())
    with pytest.raises(BackendError, match="an ONNX model"):
        trusted(path, key(store), "model.edge")
    with pytest.raises(BackendError, match="No such file"):
        trusted(tmp_path / "absent.engine", key(store), "model.edge")


def test_nothing_is_deserialized_to_find_that_out(store: EngineStore) -> None:
    """The module tensorrt is not even imported."""
    stored = saved(store)
    admitted(stored.path, key(store), "model.edge")
    assert "tensorrt" not in sys.modules


# --- the folder -------------------------------------------------------------------------------


def test_engines_of_the_bundle_as_it_was_before_are_removed(
    store: EngineStore, tmp_path: Path
) -> None:
    old = saved(store)
    newer = EngineStore.beside(bundle(tmp_path / "model.edge", factor=3.0))
    assert newer.stored() == (replace(old, differences=()),)  # still listed...
    stored = newer.save(plan(), record(key(newer)))
    assert names(stored.path.parent) == [stored.path.name, f"{stored.path.stem}.json"]


def test_the_folder_stays_bounded_and_the_newest_stay(store: EngineStore) -> None:
    made = [saved(store, replace(ORIN, power_mode=str(mode))) for mode in range(12)]
    kept = {each.path for each in store.stored()}
    assert kept == {each.path for each in made[-store_module.KEPT :]}
    assert len(names(made[0].path.parent)) == 2 * store_module.KEPT


def test_what_somebody_else_put_into_the_folder_stays(store: EngineStore) -> None:
    folder = saved(store).path.parent
    (folder / "mine.engine").write_bytes(b"mine")
    (folder / "notes.json").write_text("{}")
    (folder / "README").write_text("mine")
    saved(store, settings=DLA)
    assert {"mine.engine", "notes.json", "README"} <= set(names(folder))


def test_what_a_killed_process_left_is_removed_and_what_one_writes_now_is_not(
    store: EngineStore,
) -> None:
    folder = saved(store).path.parent
    left, written = Part(folder / "abc.engine"), Part(folder / "abc.engine")
    dead = left.path.with_name(".abc.engine.edgesdk-00000000")
    left.path.rename(dead)
    left.discard()  # its lock is gone, as with its process
    saved(store, settings=DLA)
    assert (dead.exists(), written.path.exists()) == (False, True)
    written.discard()


def test_where_the_bundle_takes_no_files_the_cache_does(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = store.folders[0]
    (beside.parent / "cache").mkdir()
    real = os.access

    def read_only(path: Path, mode: int) -> bool:  # root may write anywhere, so it is acted
        return not (mode & os.W_OK and Path(path) == beside.parent) and real(path, mode)

    monkeypatch.setattr(os, "access", read_only)
    stored = saved(store)
    assert not beside.exists()
    assert stored.path.parent.parent == Path(os.environ["EDGESDK_CACHE"]) / "engines"
    assert store.find(key(store)) == stored
    assert store.load(stored, key(store)) == plan()
    stored.path.write_bytes(plan() + b"evil")
    assert "not the engine that was built" in refused(store, stored)  # the same rules


def test_the_cache_stays_bounded_over_all_graphs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path))
    stores = [EngineStore.cached(f"{number:064x}"[::-1]) for number in range(20)]
    for age, store in enumerate(reversed(stores)):
        folder = saved(store).path.parent
        os.utime(folder, (time.time() - 60 * age - 60,) * 2)
    newest = saved(stores[0])  # used again
    kept = {path.name for path in (tmp_path / "engines").iterdir()}
    assert len(kept) == store_module.KEPT_GRAPHS
    assert newest.path.exists()


def test_on_a_really_read_only_medium_the_cache_is_used(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs root to mount a small disk")
    try:
        made = bundle(disk / "model.edge")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        store = EngineStore.beside(made)
        stored = saved(store)
        assert not stored.path.is_relative_to(disk)
        assert store.find(key(store)) == stored
    finally:
        subprocess.run(["umount", str(disk)], check=True)


FULL = """
import sys
from pathlib import Path
from edgesdk.backends.tensorrt.engines.store import EngineStore
from edgesdk.bundle import open_bundle
from edgesdk.errors import EdgeError
from tests.tensorrt.engines import plan, record, key
store = EngineStore.beside(open_bundle(Path(sys.argv[1])))
try:
    store.save(plan() * int(sys.argv[2]), record(key(store)))
except EdgeError as error:
    print(error)
    sys.exit(1)
"""


@pytest.mark.parametrize(("times", "limit"), [(40, 4000), (1, 900)], ids=["engine", "json"])
@pytest.mark.parametrize("before", [False, True], ids=["empty", "one there"])
def test_a_full_disk_leaves_what_was_there(
    store: EngineStore, times: int, limit: int, before: bool
) -> None:
    def full() -> None:  # the kernel then refuses to write longer files
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    other = saved(store, settings=DLA) if before else None
    where = Path(store.bundle)
    done = subprocess.run(
        [sys.executable, "-c", FULL, where, str(times)],
        capture_output=True, text=True, check=False, preexec_fn=full,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stdout
    if other is None:
        assert names(where.parent) == ["model.edge"]
        assert not store.folders[0].exists()
    else:
        assert store.stored() == (other,)
        assert len(names(other.path.parent)) == 2
        assert store.load(other, key(store, settings=DLA)) == plan()


def test_an_unwritable_place_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = EngineStore(double().digest, (tmp_path / "file" / "inside",))
    with pytest.raises(EdgeError, match="cannot write"):
        saved(store)


def test_files_are_readable_for_others_and_writable_for_none(store: EngineStore) -> None:
    stored = saved(store)
    for path in (stored.path, stored.path.with_suffix(".json")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


# --- several processes ------------------------------------------------------------------------


def _save_often(bundle_path: str, letter: str, times: int) -> None:
    from edgesdk.bundle import open_bundle  # noqa: PLC0415 - in a process of its own

    store = EngineStore.beside(open_bundle(Path(bundle_path)))
    for number in range(times):
        store.save(plan() + f"{letter}{number}".encode(), record(key(store)))


def test_processes_that_save_the_same_engine_at_once_damage_nothing(store: EngineStore) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_save_often, args=(store.bundle, letter, 25)) for letter in "abc"
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    found = store.find(key(store))
    assert found is not None
    assert store.load(found, key(store)).endswith(b"24")
    assert len(names(found.path.parent)) == 2
    assert len(list(found.path.parent.glob(".*"))) == 1  # the lock; no temporary file


def test_a_process_that_is_killed_while_it_saves_is_no_trouble(store: EngineStore) -> None:
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_save_often, args=(store.bundle, "k", 10**6))
    worker.start()
    _until(store.folders[0] / f"{key(store).fingerprint}.json")
    time.sleep(0.2)
    worker.kill()
    worker.join(60)
    for stored in store.stored():  # an engine and its own JSON, or it is refused
        assert vouched(store, stored) or refused(store, stored)
    assert vouched(store, saved(store))  # and the lock is free


def _hold(bundle_path: str, held: str, release: str) -> None:
    from edgesdk.bundle import open_bundle  # noqa: PLC0415 - in a process of its own

    with EngineStore.beside(open_bundle(Path(bundle_path))).alone(lambda: None):
        Path(held).touch()
        while not Path(release).exists():
            time.sleep(0.01)


def _until(there: Path) -> None:
    end = time.monotonic() + 60
    while not there.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("killed", [False, True])
def test_a_second_build_waits_for_the_first_and_says_so(
    store: EngineStore, tmp_path: Path, killed: bool
) -> None:
    held, release = tmp_path / "held", tmp_path / "release"
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_hold, args=(store.bundle, str(held), str(release)))
    worker.start()
    _until(held)
    end = worker.kill if killed else release.touch
    said: list[str] = []

    def waits() -> None:
        said.append("waiting")
        end()

    with store.alone(waits):
        assert said == ["waiting"]
    worker.join(60)
    with store.alone(waits):
        assert said == ["waiting"]


def test_a_build_that_fails_leaves_no_folder(store: EngineStore) -> None:
    def fails() -> None:
        with store.alone(lambda: None):
            raise BackendError("out of memory")

    with pytest.raises(BackendError, match="out of memory"):
        fails()
    assert not store.folders[0].exists()


def test_a_record_says_when_and_by_what_it_was_made(store: EngineStore) -> None:
    made = read_record(saved(store).path.with_suffix(".json"))
    assert made.seconds == 61.5
    assert made.created.endswith("+00:00")
    assert made.sdk_version
    assert not made.trusted
