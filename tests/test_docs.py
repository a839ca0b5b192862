"""The documentation says what is there: links, commands, options, keys and examples."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgesdk import _config
from edgesdk._optional import available
from edgesdk.calibration import Recipe, recipe_names
from edgesdk.cli import edgesdk
from edgesdk.cli._lazy import VERBS
from edgesdk.preprocess import Preprocess
from edgesdk.spec import spec_from_table

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
PAGES += sorted(ROOT.glob("apps/*/README.md"))

Command = tuple[str, list[str]]
"""The words after `edgesdk`, up to the first option; and the options."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [match[1] for match in fence.finditer(text)]


def commands(text: str) -> Iterator[Command]:
    """Every `edgesdk ...` at a prompt of a console block, or in code within a sentence."""
    consoles = "\n".join(blocks(text, "console")).replace("\\\n", " ")
    prompts = [line[2:] for line in consoles.splitlines() if line.startswith("$ ")]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = [code for code in re.findall(r"`([^`\n]+)`", prose) if code.startswith("edgesdk ")]
    for line in [*prompts, *inline]:
        inner = re.findall(r"\$\(([^)]*)\)", line)
        for part in [*inner, *re.split(r"&&|[;|]|\s#", re.sub(r"\$\([^)]*\)", "X", line))]:
            found = re.match(r"\s*edgesdk\s+(.*)", part)
            if found:
                words = found[1].split()
                plain = [w for w in words if not w.startswith("-")]
                yield " ".join(plain[:2]), [w.partition("=")[0] for w in words if w[0] == "-"]


def find(words: str) -> click.Command | None:
    """The command that these words begin with; None: they stand for any verb."""
    group: click.Command = edgesdk
    for word in words.split():
        if not isinstance(group, click.Group) or word in ("VERB", "NAME"):
            break
        with click.Context(group) as context:
            command = group.get_command(context, word)
        assert command is not None, f"there is no command {words!r}"
        group = command
    return None if group is edgesdk else group


def options(command: click.Command) -> set[str]:
    return {o for p in command.params if isinstance(p, click.Option) for o in p.opts}


ALL_COMMANDS = [(page, *c) for page in PAGES for c in commands(page.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("page", "words", "given"), ALL_COMMANDS, ids=[f"{name(p)}: {w}" for p, w, _ in ALL_COMMANDS]
)
def test_a_documented_command_and_its_options_exist(
    page: Path, words: str, given: list[str]
) -> None:
    command = find(words)
    known = {"--help", "-h", "--version"} | (options(command) if command else set())
    assert set(given) <= known, f"{name(page)}: edgesdk {words}"


def test_the_commands_of_the_docs_are_found_by_this_test() -> None:
    verbs = {words.split()[0] for _, words, _ in ALL_COMMANDS if words}
    assert set(VERBS) <= verbs


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_names_every_option_of_a_verb(verb: str) -> None:
    page = (DOCS / "reference" / "cli.md").read_text("utf-8")
    section = next(s for s in page.split("\n## ") if s.startswith(f"`edgesdk {verb}"))
    command = find(verb)
    parts = command.commands.values() if isinstance(command, click.Group) else [command]
    for part in parts:
        assert part is not None
        for option in options(part):
            assert f"`{option}" in section, f"{verb} {option}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target or target.startswith("#"):
            continue
        path = page.parent / target.partition("#")[0]
        assert path.exists(), f"{name(page)} links to {target}"


def test_every_page_is_in_the_navigation_and_every_decision_in_its_list() -> None:
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = set(re.findall(r"(\S+\.md)$", config, re.MULTILINE))
    assert listed == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    decisions = (DOCS / "adr" / "index.md").read_text("utf-8")
    for page in (DOCS / "adr").glob("0*.md"):
        title = page.read_text("utf-8").splitlines()[0].partition(". ")[2]
        assert f"[{title}]({page.name})" in decisions


def test_the_reference_of_a_spec_names_every_key_and_its_example_is_one(tmp_path: Path) -> None:
    text = (DOCS / "reference" / "spec.md").read_text("utf-8")
    for field in dataclasses.fields(Preprocess):
        assert f"`{field.name}`" in text
    (tmp_path / "coco80.txt").write_text("person\n")
    for page in ("reference/spec.md", "guides/build-a-model.md"):
        for number, example in enumerate(blocks((DOCS / page).read_text("utf-8"), "toml")):
            path = tmp_path / f"{number}.toml"
            path.write_text(example)
            assert spec_from_table(_config.read_toml(path), path).decoder["type"] == "yolox"


def test_the_reference_of_recipes_names_every_key_and_its_examples_are_some(
    tmp_path: Path,
) -> None:
    text = (DOCS / "reference" / "recipes.md").read_text("utf-8")
    for key in [*(f.name for f in dataclasses.fields(Recipe)), *recipe_names()]:
        assert f"`{key}`" in text
    examples = blocks(text, "toml")
    assert examples
    for example in examples:
        path = tmp_path / "recipe.toml"
        path.write_text(example)
        assert _config.read(Recipe, path).title


def test_the_examples_of_the_python_page_run_one_after_the_other(tmp_path: Path) -> None:
    for package in ("onnxruntime", "cv2"):
        if not available(package):
            pytest.skip(f"needs {package}: pip install 'edgesdk[cpu,video]'")
    if not (ROOT / "apps" / "traffic_counting" / "model" / "vehicles.onnx").is_file():
        pytest.skip("needs the model apps/traffic_counting/model/vehicles.onnx: run train.py")
    code = "\n".join(blocks((DOCS / "reference" / "python.md").read_text("utf-8"), "python"))
    (tmp_path / "apps").symlink_to(ROOT / "apps")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "boxes" in run.stdout
    assert (tmp_path / "vehicles.edge" / "manifest.json").is_file()


def test_the_site_builds_without_a_warning_and_asks_other_servers_for_nothing(
    tmp_path: Path,
) -> None:
    if not available("material"):
        pytest.skip("needs mkdocs-material: pip install 'edgesdk[docs]'")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        html = page.read_text("utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//', html), page
        assert not re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(?:https?:)?//', html), page


def test_the_readme_opens_with_the_two_commands() -> None:
    opening = blocks((ROOT / "README.md").read_text("utf-8"), "console")[0]
    assert (ROOT / "README.md").read_text("utf-8").startswith("```")
    assert re.findall(r"^\$ (\S+)", opening, re.MULTILINE) == ["scripts/demo", "scripts/test"]


def test_the_figures_of_the_readme_are_those_of_the_reports() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    readme = (ROOT / "README.md").read_text()
    assert module.with_figures(readme) == readme, "run scripts/bench readme"
