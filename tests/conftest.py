"""What all tests share: in CI, nothing may be skipped but what needs a GPU or a board."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

ALLOWED_IN_CI = ("needs a GPU", "needs a board")
SKIPS = pytest.StashKey[list[str]]()
pytest.register_assert_rewrite("tests.backend_contract")


# CI tries the same examples each time; a developer's machine looks for new ones. A machine that
# does other work as well is slow, which is no failure.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("desk", deadline=None)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What builds keep of their calibration is kept for this run of the tests, and nowhere else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGESDK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("ci" if os.environ.get("EDGESDK_CI") else "desk")
    config.stash[SKIPS] = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    outcome = yield
    report = outcome.get_result()
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        item.config.stash[SKIPS].append(f"{item.nodeid}: {reason.removeprefix('Skipped: ')}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    forbidden = [s for s in session.config.stash[SKIPS] if not any(a in s for a in ALLOWED_IN_CI)]
    if os.environ.get("EDGESDK_CI") and forbidden:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skips = terminalreporter.config.stash[SKIPS]
    forbidden = [s for s in skips if not any(allowed in s for allowed in ALLOWED_IN_CI)]
    if os.environ.get("EDGESDK_CI") and forbidden:
        terminalreporter.section(
            "skipped in CI, which only a missing GPU or board may be", red=True
        )
        for line in forbidden:
            terminalreporter.line(line)
