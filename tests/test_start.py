"""What a start loads: only what it needs, so that it is over soon."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded(code: str) -> set[str]:
    """The modules that a new interpreter holds after `code`."""
    asked = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_itself_loads_no_library() -> None:
    assert {"numpy", "onnx", "click", "cv2"}.isdisjoint(loaded("import edgesdk"))


def test_the_command_says_its_version_without_a_library_but_click() -> None:
    found = loaded(
        "import click, edgesdk.cli\nedgesdk.cli.edgesdk(['--version'], standalone_mode=False)"
    )
    assert {"numpy", "onnx", "cv2", "rich"}.isdisjoint(found)


@pytest.mark.parametrize(
    "unneeded",
    ["onnx.reference", "http.client", "edgesdk.backends.tensorrt", "edgesdk.calibration", "jinja2"],
)
def test_an_app_on_the_cpu_does_not_wait_for_what_it_does_not_use(unneeded: str) -> None:
    pytest.importorskip("cv2", reason="pip install 'edgesdk[video]'")
    pytest.importorskip("onnxruntime", reason="pip install 'edgesdk[cpu]'")
    code = (
        "from edgesdk.apps import RunRequest, load_app, prepare_run\n"
        "request = RunRequest('sim://traffic?seed=3&frames=2')\n"
        "with prepare_run(load_app('traffic_counting'), request) as run: run.pipeline.run(1)"
    )
    found = loaded(code)
    assert "onnxruntime" in found
    assert unneeded not in found
