"""A site is a folder with its own settings; all else is the shipped app's, also after an update."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgesdk._resources import data_folder
from edgesdk.apps import app_names, load_app
from edgesdk.apps.folder import shipped_app
from edgesdk.apps.new import SITE_FILE
from edgesdk.cli import edgesdk
from edgesdk.errors import ConfigError, EdgeError, UnknownName, UsageError
from tests.squares import app_folder

TRAFFIC = data_folder("apps") / "traffic_counting"


def call(*words: str) -> Result:
    return CliRunner().invoke(edgesdk, words, catch_exceptions=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def uncommented(text: str) -> str:
    """Every setting that the template offers, taken; what is prose stays a comment."""
    return re.sub(r"^# (?=\[+[\w.]+\]+$|\w+ = )", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("app", app_names())
def test_a_new_site_is_an_app_with_the_code_and_settings_of_its_own_app(
    here: Path, app: str
) -> None:
    made = call("new", "gate", "--from", app)
    assert made.stdout.split() == ["gate/app.toml", "gate/README.md"]
    assert str(shipped_app(app) / "app.toml") in made.stderr
    assert sorted(path.name for path in (here / "gate").iterdir()) == ["README.md", "app.toml"]
    site, base = load_app("gate"), load_app(app)
    assert (site.name, site.title) == ("gate", base.title)
    assert asdict(site.settings) == asdict(base.settings)
    assert site.program.__name__ == base.program.__name__
    assert (site.source, site.calibration, site.sinks) == (
        base.source,
        base.calibration,
        base.sinks,
    )
    assert site.model_path() == base.model_path()
    if (shipped_app(app) / base.model.spec_file).exists():  # it comes with the model
        assert site.spec() == base.spec()
    assert site.bundle_path == Path("gate/gate.edge")


WITH_TEMPLATE = [app for app in app_names() if (shipped_app(app) / SITE_FILE).is_file()]


@pytest.mark.parametrize("app", WITH_TEMPLATE)
def test_everything_that_a_template_offers_can_be_taken(here: Path, app: str) -> None:
    call("new", "gate", "--from", app)
    path = here / "gate" / "app.toml"
    path.write_text(uncommented(path.read_text()))
    site = load_app("gate")
    assert site.name == "gate"
    assert not re.search(r"^# \w+ = ", path.read_text(), re.MULTILINE)


def test_what_the_site_sets_stands_over_the_app(here: Path) -> None:
    call("new", "gate", "--from", "traffic_counting")
    Path("gate/app.toml").write_text(
        'name = "gate"\nfrom = "traffic_counting"\ntitle = "North gate"\n'
        '[source]\ndefault = "clips/day.mp4"\ntrigger = "gpio:7"\n'
        '[calibration]\ndata = "pictures"\n'
        '[settings]\nline_at = 0.4\ntracker.lost_s = 7\n[sinks]\nevents = "e.csv"\n'
    )
    site, base = load_app("gate"), load_app("traffic_counting")
    assert site.title == "North gate"
    assert site.source == "gate/clips/day.mp4"
    assert site.trigger == "gpio:7"
    assert site.calibration == "gate/pictures"
    assert site.sinks.events == "e.csv"
    assert site.settings.line_at == 0.4
    assert site.settings.tracker.lost_s == 7
    assert site.settings.classes == base.settings.classes
    assert site.with_settings({"line_at": 0.3}).settings.line_at == 0.3


def test_a_site_may_have_a_model_of_its_own(here: Path) -> None:
    call("new", "gate", "--from", "traffic_counting")
    with Path("gate/app.toml").open("a") as file:
        file.write('[model]\nbundle = "mine.edge"\n')
    site = load_app("gate")
    assert site.bundle_path == Path("gate/mine.edge")
    assert site.model_path() is None


def test_an_update_of_the_app_reaches_its_sites(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(TRAFFIC, here / "shipped" / "apps" / "counting")
    monkeypatch.setenv("EDGESDK_PATH", str(here / "shipped"))
    call("new", "gate", "--from", "counting")
    with Path("gate/app.toml").open("a") as file:
        file.write('[calibration]\ndata = "pictures"\n')
    shipped = here / "shipped" / "apps" / "counting"
    text = (shipped / "app.toml").read_text()
    (shipped / "app.toml").write_text(text.replace("line_at = 0.6", "line_at = 0.7"))
    code = (shipped / "app.py").read_text()
    (shipped / "app.py").write_text(code.replace("class Program:", "class Program:\n    newer = 1"))
    site = load_app("gate")
    assert site.settings.line_at == 0.7
    assert site.program.newer == 1  # type: ignore[attr-defined]


def test_a_site_runs_and_is_built_in_its_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (TRAFFIC / "model" / "vehicles.onnx").is_file():
        pytest.skip("needs the model apps/traffic_counting/model/vehicles.onnx: run train.py")
    call("new", "north-gate", "--from", "traffic_counting")
    source = "sim://traffic?seed=3&frames=6"
    ran = call("run", "north-gate", "--source", source, "--json")
    assert json.loads(ran.stdout)["app"] == "north_gate"
    monkeypatch.chdir(here / "north-gate")
    data = "sim://traffic?seed=9&frames=4&fps=2"  # the app's own pictures take half a minute
    built = call("build", "--device", "orin", "--precision", "fp16", "--data", data, "--quiet")
    assert built.exit_code == 0
    assert (here / "north-gate" / "north_gate.edge" / "manifest.json").is_file()
    model = json.loads(call("run", "--source", source, "--json").stdout)["model"]
    assert (model["kind"], model["precision"]) == ("bundle", "fp16")
    assert not (TRAFFIC / "north_gate.edge").exists()


@pytest.mark.parametrize("there", ["a file", "a folder with something in it"])
def test_nothing_is_overwritten(here: Path, there: str) -> None:
    if there == "a file":
        Path("gate").write_text("mine")
    else:
        Path("gate").mkdir()
        Path("gate/app.toml").write_text("mine")
    with pytest.raises(UsageError, match="gate is there already, and nothing is overwritten"):
        call("new", "gate", "--from", "traffic_counting")
    file = Path("gate") if there == "a file" else Path("gate/app.toml")
    assert file.read_text() == "mine"
    assert [path.name for path in here.iterdir()] == ["gate"]


def test_an_empty_folder_is_filled(here: Path) -> None:
    Path("gate").mkdir()
    call("new", "gate", "--from", "traffic_counting")
    assert load_app("gate").name == "gate"
    assert [path.name for path in here.iterdir()] == ["gate"]


def test_a_site_may_have_the_name_of_its_app(here: Path) -> None:
    call("new", "traffic_counting", "--from", "traffic_counting")
    assert load_app("traffic_counting").bundle_path == Path(
        "traffic_counting/traffic_counting.edge"
    )


def test_a_wrong_app_or_name_leaves_nothing_behind(here: Path) -> None:
    with pytest.raises(UnknownName) as unknown:
        call("new", "gate", "--from", "trafic_counting")
    assert "traffic_counting" in unknown.value.hint
    with pytest.raises(UsageError, match="small letters, digits and _ after a letter"):
        call("new", "3rd", "--from", "traffic_counting")
    assert list(here.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(here: Path) -> None:
    Path("file").write_text("")
    with pytest.raises(EdgeError, match="cannot write file/gate"):
        call("new", "file/gate", "--from", "traffic_counting")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('from = "trafic_counting"', "no app named 'trafic_counting'"),
        ("from = 3", "from should be the name of an app, found 3"),
        ('from = "traffic_counting"\n[settings]\nline_a = 1', "unknown key 'line_a'"),
        ('from = "traffic_counting"\n[sinks]\nevent = "e.csv"', "unknown key 'event'"),
        ('from = "traffic_counting"\ntitel = "x"', "unknown key 'titel'"),
    ],
)
def test_a_mistake_in_a_site_is_named(here: Path, text: str, said: str) -> None:
    Path("gate").mkdir()
    Path("gate/app.toml").write_text(f'name = "gate"\n{text}\n')
    with pytest.raises(EdgeError, match=said):
        load_app("gate")


def test_a_site_of_a_site_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESDK_PATH", str(here))
    call("new", "apps/gate", "--from", "traffic_counting")
    Path("other").mkdir()
    Path("other/app.toml").write_text('name = "other"\nfrom = "gate"\n')
    with pytest.raises(ConfigError, match="which is itself a site of traffic_counting"):
        load_app("other")


def test_an_app_without_a_template_has_sites_too(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (TRAFFIC / "app.py").read_text()
    app_folder(here / "own" / "apps" / "squares", code, 'classes = ["square"]')
    monkeypatch.setenv("EDGESDK_PATH", str(here / "own"))
    call("new", "gate", "--from", "squares")
    assert load_app("gate").settings.classes == ("square",)
