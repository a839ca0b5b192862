"""`edgesdk doctor --report`: what a maintainer needs to see, and nothing that says whose it is."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgesdk.backends.tensorrt.engines.key import EngineKey
from edgesdk.backends.tensorrt.engines.record import EngineRecord
from edgesdk.backends.tensorrt.machine.host import Host
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.cli.doctor import command
from edgesdk.errors import ConfigError, DataError, EdgeError, UsageError
from edgesdk.fieldreport import Part, ReportRequest, collect, pack
from edgesdk.fieldreport.part import MAX_PART_BYTES
from edgesdk.fieldreport.scrub import find_secrets
from edgesdk.report import to_json
from tests.report_samples import report, steady
from tests.test_bench import CLASSES, bundle, classifier

HOME = "/home/annabel"
PLANTED = {
    "host": "annabels-orin-lab7",
    "user": "annabel",
    "another user": "wilhelmina",
    "serial": "1423722004711",
    "machine id": "0f9e8d7c6b5a49388716253443526170",
    "mac": "48:b0:2d:12:34:56",
    "another mac": "3c:6d:66:ab:cd:ef",
    "token": "hf_QwErTyUiOpAsDfGh",
    "password": 'pa"ss\\word-77',
    "short password": "s3cr3t",
    "camera": "rtsp://viewer:hunter2@192.168.1.44:554/stream1",
    "address": "192.168.178.20",
    "inner address": "10.11.12.13:8080",
    "e-mail": "annabel.meier@example.org",
    "gpu uuid": "GPU-0b4f3b06-7f0e-4c9e-9b2b-0a1d2c3e4f50",
    "home": HOME,
}
ENVIRONMENT = {
    "USER": PLANTED["user"],
    "HF_TOKEN": PLANTED["token"],
    "CAMERA_PASSWORD": PLANTED["password"],
    "MY_SECRET": PLANTED["short password"],
    "PATH": "/usr/bin",
}
ALL = " | ".join(PLANTED.values())


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """An AGX Orin with JetPack 6.2 and everything in its files that must not leave it."""
    files = {
        "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
        "proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0",
        "proc/device-tree/serial-number": f"{PLANTED['serial']}\0",
        "etc/nv_tegra_release": f"# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic {ALL}\n",
        "etc/hostname": f"{PLANTED['host']}\n",
        "etc/machine-id": f"{PLANTED['machine id']}\n",
        "etc/passwd": (
            "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n"
            "annabel:x:1000:1000::/home/annabel:/bin/bash\n"
            "wilhelmina:x:1001:1001::/home/wilhelmina:/bin/bash\n"
        ),
        "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n",
        "var/lib/nvpmodel/status": "pmode:0000",
        "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6.68"}}',
        "var/lib/dpkg/status": (
            "Package: libnvinfer10\nStatus: install ok installed\nVersion: 10.3.0.30-1+cuda12.5\n\n"
            "Package: libnvinfer-dev\nStatus: deinstall ok config-files\nVersion: 9.0\n\n"
            "Package: annabels-own-tool\nStatus: install ok installed\nVersion: 1.0\n"
        ),
        "sys/class/net/eth0/address": f"{PLANTED['mac']}\n",
        "sys/class/net/lo/address": "00:00:00:00:00:00\n",
        "sys/class/thermal/thermal_zone0/type": "gpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48500\n",
        "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/max_freq": "1300500000\n",
        "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov\n",
    }
    root = tmp_path / "board"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def junit(tmp_path: Path) -> Path:
    path = tmp_path / "gpu.xml"
    path.write_text(
        f"""<testsuites><testsuite name="pytest" hostname="{PLANTED["host"]}" tests="4">
        <testcase classname="tests.gpu.test_run" name="test_a" time="1.5">
          <properties><property name="build_s" value="61.2"/></properties>
          <system-out>{PLANTED["camera"]}</system-out></testcase>
        <testcase classname="tests.gpu.test_run" name="test_b" time="0.5">
          <failure message="BackendError: at {HOME}/x.engine">trace of {PLANTED["user"]}</failure>
        </testcase>
        <testcase classname="tests.gpu.test_run" name="test_c" time="0">
          <skipped message="needs a board with DLA"/></testcase>
        <testcase classname="tests.gpu.test_run" name="test_d" time="0">
          <error message="no GPU {PLANTED["gpu uuid"]}"/></testcase>
        </testsuite></testsuites>"""
    )
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    found = report(steady())
    command = f"edgesdk bench {HOME}/model.edge --source {PLANTED['camera']} {PLANTED['token']}"
    origin = replace(found.provenance, command=command)
    path = tmp_path / "bench.json"
    path.write_text(to_json(replace(found, provenance=origin)))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A bundle with one engine beside it, whose JSON holds what a path may give away."""
    path = bundle(tmp_path, classifier(), CLASSES)
    host = Host("10.3.0", "8.7", "Orin", "agx-orin-64gb", "linux-aarch64", 16, "0")
    layers = ({"name": "conv", "precision": "int8", "device": "gpu", "origin": [HOME]},)
    key = EngineKey("a" * 64, EngineSettings(), host)
    record = EngineRecord(key, "b" * 64, 7, "2026-01-05", "0.1.0", 61.2, layers)
    folder = path.with_name(f"{path.name}.engines")
    folder.mkdir()
    (folder / "abc.json").write_text(record.to_json())
    (folder / "abc.engine").write_bytes(b"SECRETPLAN")
    return path


@pytest.fixture
def request_of_all(board: Path, junit: Path, bench: Path, model: Path) -> ReportRequest:
    return ReportRequest((model,), junit, (bench,), board, ENVIRONMENT, Path(HOME))


def texts(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_report_holds_what_is_needed_to_judge_a_board(request_of_all: ReportRequest) -> None:
    files = {part.name: part.text for part in collect(request_of_all)}
    facts = json.loads(files["board.json"])
    assert facts["jetpack"] == "6.2"
    assert facts["board"]["parts"] == ["p3737-0000", "p3701-0005"]
    assert facts["machine"]["clocks"][0]["current_mhz"] == 306.0
    assert facts["temperatures_c"] == {"gpu-thermal": 48.5}
    assert facts["files"]["var/lib/nvpmodel/status"] == "pmode:0000"
    versions = json.loads(files["versions.json"])
    assert versions["cuda"] == "12.6.68"
    assert versions["packages"] == {"libnvinfer10": "10.3.0.30-1+cuda12.5"}
    assert "numpy==" in files["python-packages.txt"]
    assert "MAXN" in files["nvpmodel.conf"]
    layers = json.loads(files["bundles/0/engines/abc.json"])["layers"]
    assert (layers[0]["name"], layers[0]["precision"]) == ("conv", "int8")
    assert json.loads(files["bundles/0/bundle.json"])["inputs"] == ["images: float32[1x3x8x8]"]
    assert json.loads(files["bench/0.json"])["total"]["count"] == 400
    assert "findings" in json.loads(files["doctor.json"])


def test_outcomes_of_the_gpu_tests_are_counted_with_reasons_and_recorded_figures(
    request_of_all: ReportRequest,
) -> None:
    files = {part.name: part.text for part in collect(request_of_all)}
    found = json.loads(files["gpu-tests.json"])
    assert found["counts"] == {"passed": 1, "failed": 1, "error": 1, "skipped": 1}
    assert found["tests"][0]["figures"] == {"build_s": "61.2"}
    assert found["tests"][1]["text"].startswith("BackendError: at ~/x.engine")
    assert found["tests"][2]["text"] == "needs a board with DLA"


def test_nothing_planted_leaves_the_board(request_of_all: ReportRequest) -> None:
    files = texts(pack(collect(request_of_all)))
    for what, value in PLANTED.items():
        escaped = json.dumps(value)[1:-1]
        for name, text in files.items():
            assert value not in text, f"{what} in {name}"
            assert escaped not in text, f"{what} in {name}"
    everything = "".join(files.values())
    for part in ("hunter2", "viewer", "annabel", "Annabel", "meier", "lab7", "ss\\\\word"):
        assert part not in everything


def test_weights_and_engines_stay_where_they_are(request_of_all: ReportRequest) -> None:
    files = texts(pack(collect(request_of_all)))
    assert not [name for name in files if name.endswith((".engine", ".onnx", ".png", ".jpg"))]
    assert "SECRETPLAN" not in "".join(files.values())


def test_versions_part_numbers_and_common_names_are_left_as_they_are(board: Path) -> None:
    secrets = find_secrets(board, {"USER": "nvidia", "HOSTNAME": "orin"}, Path("/home/nvidia"))
    kept = "TensorRT 10.3.0.30 of nvidia,tegra234 p3701-0005 on agx-orin-64gb, CUDA 12.6.68, 0.12.3"
    assert secrets.scrub(kept) == kept
    assert secrets.scrub("/home/nvidia/model.edge") == "~/model.edge"


def test_a_short_name_is_taken_out_as_a_word_and_not_within_words(tmp_path: Path) -> None:
    secrets = find_secrets(tmp_path, {"USER": "lab"}, Path("/home/lab"))
    assert secrets.scrub("available to lab, lab_2 and /data/lab/") == (
        "available to <user>, <user>_2 and /data/<user>/"
    )


def test_homes_of_others_lose_their_names(tmp_path: Path) -> None:
    secrets = find_secrets(tmp_path, {}, Path("/"))
    assert secrets.scrub("/home/jo/a /media/jo/stick") == "/home/<user>/a /media/<user>/stick"


def test_the_readme_lists_each_file_and_says_that_nothing_was_sent(
    request_of_all: ReportRequest,
) -> None:
    files = texts(pack(collect(request_of_all)))
    readme = files["edgesdk-report/README.txt"]
    assert "Nothing was sent anywhere" in readme
    for name in files:
        assert name.removeprefix("edgesdk-report/") in (*readme.split(), "README.txt")


def test_the_same_facts_make_the_same_bytes() -> None:
    parts = (Part("a.txt", "a", "1"), Part("b.txt", "b", "2"))
    assert pack(parts) == pack(parts)


def test_a_part_that_is_too_long_is_cut_and_says_so() -> None:
    part = Part("long.txt", "long", "ä" * MAX_PART_BYTES).bounded()
    assert part.size_bytes < MAX_PART_BYTES + 200
    assert "cut here" in part.text
    assert part.what == "long (cut)"


def test_a_report_that_is_too_large_names_its_largest_part() -> None:
    with pytest.raises(DataError, match="more than 100") as caught:
        pack([Part("small.txt", "", "x"), Part("large.txt", "", "y" * 200)], 100)
    assert "large.txt with 200 bytes" in caught.value.hint


def test_a_file_that_is_no_result_of_tests_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    for text in ("not xml", "<testsuites/>"):
        path.write_text(text)
        with pytest.raises(DataError) as caught:
            collect(ReportRequest(gpu_tests=path))
        assert "--junitxml" in caught.value.hint


def test_a_file_that_is_no_latency_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ConfigError, match="no latency report"):
        collect(ReportRequest(bench=(tmp_path / "x.json",)))


def test_an_engine_whose_json_is_damaged_is_reported_as_such(
    request_of_all: ReportRequest, model: Path
) -> None:
    (model.with_name(f"{model.name}.engines") / "abc.json").write_text('{"format": 99}')
    files = {part.name: part.text for part in collect(request_of_all)}
    assert "format 99" in files["bundles/0/engines/abc.json"]


def test_the_command_writes_the_file_and_lists_it_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "r.zip"
    result = CliRunner().invoke(command, ["--report", str(path)])
    assert result.exception is None
    assert "this will be read" in result.stderr
    assert "board.json" in result.stdout
    assert "nothing was sent anywhere" in result.stdout
    assert "edgesdk-report/board.json" in texts(path.read_bytes())


def test_without_a_name_the_report_is_called_edgesdk_report_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["--report", "--json"])
    assert json.loads(result.stdout)["report"] == "edgesdk-report.zip"
    assert (tmp_path / "edgesdk-report.zip").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--report", "r.txt"], "zip"),
        (["--report", "--html", "x.html"], "do not go with --report"),
        (["--gpu-tests", "x.xml"], "go into a report"),
        (["--bench", "x.json"], "go into a report"),
        (["--bundle", "a.edge", "--bundle", "b.edge"], "one bundle at a time"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], said: str) -> None:
    error = CliRunner().invoke(command, options).exception
    assert isinstance(error, UsageError)
    assert said in error.message


def test_a_report_inside_its_bundle_is_refused(model: Path) -> None:
    options = ["--report", str(model / "r.zip"), "--bundle", str(model)]
    error = CliRunner().invoke(command, options).exception
    assert isinstance(error, EdgeError)
    assert "inside the bundle" in error.message
