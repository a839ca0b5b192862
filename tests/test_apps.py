"""An app is a folder: what it says is checked strictly, and what it does is counted right."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from edgesdk._resources import assets_folder, data_folder
from edgesdk.apps import App, RunRequest, Scene, app_names, bundle_app, load_app, prepare_run
from edgesdk.apps.folder import ModelTable
from edgesdk.apps.program import others_of
from edgesdk.bundle import Manifest, Origin, Target, write_bundle
from edgesdk.detections import Detections
from edgesdk.errors import ConfigError, DataError, EdgeError, UnknownName, UsageError
from edgesdk.frames import Frame
from edgesdk.model import Model
from edgesdk.pipeline import Collect, Packet, RunSummary, StageError
from edgesdk.sim import TrafficScene, TrafficSettings
from edgesdk.spec import read_spec
from edgesdk.traffic import Crossing
from edgesdk.video import read_video
from tests.squares import SPEC, app_folder, crossing_clip, squares_model

TRAFFIC = data_folder("apps") / "traffic_counting"
COCO = ("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck")
PLAIN = """
from dataclasses import dataclass
from edgesdk.pipeline import Event

@dataclass(frozen=True)
class Settings:
    loud: bool = False

class Program:
    event = Event
    columns = ()
    def __init__(self, settings, scene):
        self.scene = scene
    def stages(self):
        return ()
    def draw(self, packet):
        return packet.frame.image
"""


def squares_traffic(folder: Path) -> App:
    """The shipped app's own code with the hand-made detector."""
    code = (TRAFFIC / "app.py").read_text()
    return load_app(app_folder(folder, code, 'classes = ["square"]\nline_at = 0.5'))


def run(app: App, request: RunRequest) -> tuple[RunSummary, Collect]:
    collect = Collect()
    with prepare_run(app, request, [collect]) as prepared:
        return prepared.pipeline.run(), collect


def test_the_shipped_app_is_found_by_name_and_by_folder() -> None:
    assert "traffic_counting" in app_names()
    assert load_app("traffic_counting").folder == load_app(TRAFFIC).folder == TRAFFIC


def test_the_shipped_app_says_all_that_a_build_needs() -> None:
    app = load_app(TRAFFIC)
    spec = app.spec()
    assert app.bundle_path == TRAFFIC / "traffic_counting.edge"
    assert app.model_path() == TRAFFIC / "model" / "vehicles.onnx"
    assert app.calibration.startswith("sim://traffic?")
    assert spec is not None
    assert spec.labels == ("car", "truck", "bus", "motorcycle")
    assert (spec.preprocess.width, spec.preprocess.height) == (416, 256)


def test_its_line_is_the_line_of_the_simulated_scenes() -> None:
    for width, height in ((640, 360), (333, 222)):
        scene = TrafficScene(TrafficSettings(width=width, height=height))
        app = load_app(TRAFFIC)
        program = app.program(app.settings, Scene(TrafficScene.labels, width, height, 24.0))
        (line,) = program.site.lines  # type: ignore[attr-defined]
        assert (line.start, line.end) == scene.line


def test_an_app_of_ones_own_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_folder(tmp_path / "apps" / "squares", PLAIN)
    monkeypatch.setenv("EDGESDK_PATH", str(tmp_path))
    assert load_app("squares").title == "Finds squares"


def test_a_wrong_name_names_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        load_app("trafic_counting")
    assert "traffic_counting" in caught.value.hint


def test_a_folder_that_is_no_app_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no app.toml"):
        load_app(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "', 'titel = "', "unknown key 'titel'"),
        ('name = "squares"', 'name = "My App"', "small letters"),
        ('file = "squares.onnx"', 'file = "a"\nzoo = "yolox-nano"', "exactly one"),
        ('spec_file = "spec.toml"', "", "either spec or spec_file"),
        ("[settings]", "[settings]\nlout = true", "unknown key 'lout'"),
        ("[settings]", "[settings]\nloud = 3", "loud should be true or false"),
    ],
)
def test_a_mistake_in_app_toml_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = app_folder(tmp_path, PLAIN) / "app.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_app(tmp_path)
    assert "app.toml" in caught.value.message


def test_code_that_is_absent_or_lacks_a_name_is_named(tmp_path: Path) -> None:
    app_folder(tmp_path, PLAIN.replace("class Program", "class Programme"))
    with pytest.raises(ConfigError, match=r"app.py: needs a class named Program"):
        load_app(tmp_path)
    (tmp_path / "app.py").write_text("Settings = 3")
    with pytest.raises(ConfigError, match="needs a dataclass named Settings"):
        load_app(tmp_path)
    (tmp_path / "app.py").unlink()
    with pytest.raises(ConfigError, match=r"app.py: no such file"):
        load_app(tmp_path)


def test_code_that_fails_while_loading_says_where(tmp_path: Path) -> None:
    app_folder(tmp_path, "import math\nmath.nothing()\n")
    with pytest.raises(StageError, match=r"AttributeError: .*app.py, line 2") as caught:
        load_app(tmp_path)
    assert isinstance(caught.value.__cause__, AttributeError)


def test_code_that_is_no_python_says_where(tmp_path: Path) -> None:
    app_folder(tmp_path, "import math\ndef broken(:\n")
    with pytest.raises(StageError, match=r"SyntaxError: .*app.py, line 2\)") as caught:
        load_app(tmp_path)
    assert "importlib" not in caught.value.message


@pytest.mark.parametrize(
    ("old", "new"), [("self.scene = scene", "scene.nothing"), ("return ()", "return self.nothing")]
)
def test_code_that_fails_before_the_first_frame_says_where(
    tmp_path: Path, old: str, new: str
) -> None:
    app = load_app(app_folder(tmp_path / "app", PLAIN.replace(old, new)))
    source = str(crossing_clip(tmp_path / "clip.avi", frames=3))
    with pytest.raises(StageError, match=r"in 'squares': AttributeError: .*app.py, line \d+"):
        run(app, RunRequest(source))


def test_settings_are_changed_key_by_key() -> None:
    app = load_app(TRAFFIC).with_settings({"line_at": 0.5, "tracker": {"lost_s": 7}})
    app = app.with_settings({"tracker": {"min_hits": 4}})
    assert (app.settings.line_at, app.settings.forward) == (0.5, "down")
    assert (app.settings.tracker.lost_s, app.settings.tracker.min_hits) == (7, 4)


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="lines_at") as caught:
        load_app(TRAFFIC).with_settings({"lines_at": 0.5})
    assert "line_at" in caught.value.hint


def test_each_crossing_is_told_once_with_its_direction(tmp_path: Path) -> None:
    app = squares_traffic(tmp_path / "app")
    source = str(crossing_clip(tmp_path / "clip.avi"))
    summary, collect = run(app, RunRequest(source))
    assert summary.counts == {"square": {"down": 1, "up": 1}}
    crossings = [event for event in collect.events if isinstance(event, Crossing)]
    by_direction = {event.direction: event for event in crossings}
    # The squares are at x = 45 and x = 145 and meet y = 80 in the middle of the clip.
    assert by_direction["down"].x_px == pytest.approx(45, abs=8)
    assert by_direction["up"].x_px == pytest.approx(145, abs=8)
    assert all(25 <= event.frame <= 40 for event in crossings)
    assert all(event.time_ms == event.frame * 50 for event in crossings)


def test_a_line_elsewhere_counts_nothing(tmp_path: Path) -> None:
    app = squares_traffic(tmp_path / "app").with_settings({"line": [80, 80, 110, 80]})
    source = str(crossing_clip(tmp_path / "clip.avi"))
    summary, _ = run(app, RunRequest(source))
    assert summary.counts == {}


def test_the_annotated_video_shows_the_frames_with_something_drawn(tmp_path: Path) -> None:
    app = squares_traffic(tmp_path / "app")
    source = crossing_clip(tmp_path / "clip.avi", frames=12)
    run(app, RunRequest(str(source), video=tmp_path / "out.mp4"))
    plain, drawn = read_video_frames(source), read_video_frames(tmp_path / "out.mp4")
    assert len(drawn) == len(plain) == 12
    assert all(abs(a - b).max() > 60 for a, b in zip(plain, drawn, strict=True))


def read_video_frames(path: Path) -> list[np.ndarray]:
    return [frame.image.astype(int) for frame in read_video(path)]


def test_a_line_outside_the_pictures_is_refused(tmp_path: Path) -> None:
    app = squares_traffic(tmp_path / "app").with_settings({"line": [0, 900, 640, 900]})
    source = str(crossing_clip(tmp_path / "clip.avi", frames=3))
    with pytest.raises(EdgeError, match="not in the pictures, which are 192x160"):
        run(app, RunRequest(source))


def test_only_the_classes_asked_for_are_counted() -> None:
    app = load_app(TRAFFIC)
    program = app.program(app.settings, Scene(COCO, 640, 352, 24.0))
    assert [COCO[i] for i in program.classes.wanted] == ["car", "motorcycle", "bus", "truck"]  # type: ignore[attr-defined]


def test_a_model_that_knows_none_of_them_is_refused() -> None:
    app = load_app(TRAFFIC)
    with pytest.raises(UsageError, match="knows none of the classes"):
        app.program(app.settings, Scene(("cat", "dog"), 640, 352, 24.0))


def test_a_class_that_was_asked_for_and_is_not_known_is_named() -> None:
    app = load_app(TRAFFIC).with_settings({"classes": ["car", "trukc"]})
    with pytest.raises(UnknownName, match="'trukc'") as caught:
        app.program(app.settings, Scene(COCO, 640, 352, 24.0))
    assert "truck" in caught.value.hint


def test_the_default_classes_suit_a_model_that_knows_only_some_of_them() -> None:
    app = load_app(TRAFFIC)
    program = app.program(app.settings, Scene(("bus", "car"), 640, 352, 24.0))
    assert program.classes.wanted == [0, 1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([float("nan"), 0, float("inf"), 200], "nan,0,inf,200 takes four finite numbers"),
        ([10, 10, 10, 10], "10,10,10,10 has no length"),
    ],
)
def test_a_line_that_is_none_is_refused(line: list[float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_app(TRAFFIC).with_settings({"line": line})


def test_a_line_beside_the_picture_is_refused_with_one_that_is_in_it() -> None:
    app = load_app(TRAFFIC).with_settings({"line": [0, 900, 640, 900]})
    with pytest.raises(UsageError, match="not in the pictures, which are 640x360") as caught:
        app.program(app.settings, Scene(COCO, 640, 360, 24.0))
    assert caught.value.hint == "such as --line 0,216,640,216"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"line_at": 5}, "such as 0.6, found 5"),
        ({"line_at": float("nan")}, "such as 0.6, found nan"),
        ({"forward": "up"}, "two names, found 'up' for both"),
    ],
)
def test_settings_that_make_no_line_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_app(TRAFFIC).with_settings(changes)


def make_bundle(path: Path) -> Path:
    model = Model.of(squares_model(), "squares")
    (path.parent / "spec.toml").write_text(SPEC)
    manifest = Manifest(
        name="squares",
        sdk_version="0",
        created="2026-01-01T00:00:00+00:00",
        precision="fp32",
        origin=Origin("squares", model.digest, 17),
        target=Target("agx-orin-64gb", "6.2", "10.3", 17),
        spec=read_spec(path.parent / "spec.toml"),
    )
    write_bundle(path, model, manifest)
    return path


def test_the_apps_own_bundle_is_used_once_it_is_built(tmp_path: Path) -> None:
    app = squares_traffic(tmp_path / "app")
    source = str(crossing_clip(tmp_path / "clip.avi", frames=3))
    with prepare_run(app, RunRequest(source)) as prepared:
        assert prepared.model.kind == "float model"
    make_bundle(app.bundle_path)
    with prepare_run(app, RunRequest(source)) as prepared:
        assert (prepared.model.kind, prepared.model.where) == ("bundle", str(app.bundle_path))


def test_a_bundle_by_itself_tells_each_box(tmp_path: Path) -> None:
    app = bundle_app(make_bundle(tmp_path / "squares.edge"))
    source = str(crossing_clip(tmp_path / "clip.avi", frames=10))
    summary, collect = run(app, RunRequest(source))
    assert summary.counts == {"square": {"boxes": 20}}
    first = next(event for event in collect.events if event.left_px < 96)
    box = (first.left_px, first.top_px, first.right_px, first.bottom_px)
    assert box == pytest.approx((25, 5, 65, 45), abs=8)


def test_a_run_never_writes_over_its_source(tmp_path: Path) -> None:
    app = squares_traffic(tmp_path / "app")
    source = crossing_clip(tmp_path / "clip.mp4", frames=3)
    before = source.read_bytes()
    with pytest.raises(UsageError, match="is a source of this run"):
        run(app, RunRequest(str(source), video=tmp_path / "." / "clip.mp4"))
    assert source.read_bytes() == before


def test_without_a_source_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no source"):
        run(load_app(app_folder(tmp_path, PLAIN)), RunRequest())


def test_the_example_of_the_guide_works(tmp_path: Path) -> None:
    guide = (TRAFFIC.parent.parent / "docs" / "guides" / "write-an-app.md").read_text()
    for name in ("toml", "python"):
        block = re.findall(rf"```{name}\n(.*?)```", guide, re.DOTALL)[0]
        (tmp_path / ("app.toml" if name == "toml" else "app.py")).write_text(block)
    app = load_app(tmp_path)
    program = app.program(app.settings, Scene(("person", "dog"), 64, 48, 25.0))
    boxes = np.tile(np.array([[1, 1, 9, 9]], np.float32), (6, 1))
    classes = np.array([0, 0, 0, 0, 1, 0])
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 7, 280_000_000, 0)
    (stage,) = program.stages()
    many = Packet(frame, Detections(boxes, np.ones(6, np.float32), classes))
    few = Packet(frame, Detections(boxes, np.ones(6, np.float32), 1 - classes))
    assert [(e.frame, e.time_ms, e.people) for e in stage(many).events] == [(7, 280.0, 5)]
    assert stage(few).events == ()
    assert program.draw(many).shape == frame.image.shape


def test_the_readme_names_each_column_and_setting() -> None:
    readme = (TRAFFIC / "README.md").read_text()
    app = load_app(TRAFFIC)
    program = app.program(app.settings, Scene(TrafficScene.labels, 640, 360, 24.0))
    kinds = (program.event, *others_of(program))
    for field in (*(each for kind in kinds for each in fields(kind)), *fields(app.settings)):
        assert f"`{field.name}`" in readme or f"`{field.name}.*`" in readme, field.name


@pytest.mark.parametrize("seed", [3, 77])
def test_the_shipped_app_counts_simulated_traffic_right(seed: int, tmp_path: Path) -> None:
    if not (TRAFFIC / "model" / "vehicles.onnx").is_file():
        pytest.skip("needs the model apps/traffic_counting/model/vehicles.onnx: run train.py")
    uri = f"sim://traffic?seed={seed}&frames=360"
    # Where someone has built a bundle in the folder it is passed over: this is the float model.
    shutil.copytree(TRAFFIC, tmp_path / "app", ignore=shutil.ignore_patterns("*.edge"))
    summary, _ = run(load_app(tmp_path / "app"), RunRequest(uri))
    truth = {"down": 0, "up": 0}
    for crossing in TrafficScene(TrafficSettings(seed=seed, frames=360)).crossings():
        truth[crossing.direction] += 1
    found = {way: sum(row.get(way, 0) for row in summary.counts.values()) for way in truth}
    assert min(truth.values()) >= 3
    assert found == truth


def test_eight_real_vehicles_are_counted() -> None:
    assets = assets_folder()
    if assets is None:
        pytest.skip("needs the assets: set EDGESDK_ASSETS to the folder with video/ and models/")
    app = load_app(TRAFFIC).with_settings({"line": [0, 220, 640, 220]})
    app = replace(app, model=ModelTable(zoo="yolox-nano"), folder=Path("/nowhere"))
    summary, collect = run(app, RunRequest(str(assets / "video" / "road_8_vehicles.mp4")))
    assert {way for row in summary.counts.values() for way in row} == {"down"}
    assert sum(row["down"] for row in summary.counts.values()) == 8
    # Where a person saw them cross (assets/README.md), within half a second.
    near = [15, 70, 122, 172, 232, 411, 470, 705]
    crossings = [event.frame for event in collect.events if isinstance(event, Crossing)]
    assert crossings == pytest.approx(near, abs=20)
