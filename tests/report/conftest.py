"""One run of the demo and its report, shared by the tests that only read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.report import report_path, write_report
from interlock.report.collect import collect
from interlock.report.model import ReportData
from tests.report.report_builders import demo_run


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a demo run; its report lies beside it."""
    folder = demo_run(tmp_path_factory.mktemp("demo"))
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def demo_html(demo: Path) -> bytes:
    """Return the report of the demo."""
    return report_path(demo).read_bytes()


@pytest.fixture(scope="session")
def demo_data(demo: Path) -> ReportData:
    """Return what the report of the demo shows."""
    return collect(demo)
