"""What page tests share: pages opened by a link, and an engine without worker processes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.runtime.inline import InlineEngine
from core.runtime.jobs import JobView
from core.runtime.settings import load_settings
from pages.parts import compute

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def inline_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InlineEngine]:
    engine = InlineEngine(load_settings({"CNN_WORKBENCH_HOME": str(tmp_path_factory.mktemp("home"))}))
    yield engine
    engine.close()


@pytest.fixture
def open_page(inline_engine: InlineEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Open a page by its stem as a link with these query parameters does."""
    monkeypatch.setattr(compute, "get_engine", lambda: inline_engine)
    compute.engine.clear()

    def open_link(stem: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(PROJECT / "streamlit_app.py"), default_timeout=120)
        for name, value in query.items():
            app.query_params[name] = value
        app.switch_page(f"pages/{stem}.py")
        app.run()
        assert not app.exception, [problem.value for problem in app.exception]
        return app

    yield open_link
    compute.engine.clear()
    for job in inline_engine.jobs("local"):
        if not job.finished:
            inline_engine.cancel(job.id)  # what a test has begun takes nothing from the next one


def watch_jobs(app: AppTest, limit_s: float = 600.0) -> AppTest:
    """Draw a page once while its jobs run, as soon as they tell something, and again when all have ended.

    In between the page is left alone: here its runs and the jobs share one process.
    """
    until = time.monotonic() + limit_s

    def wait(condition: Callable[[JobView], object]) -> None:
        while not all(job.finished or condition(job) for job in compute.engine().jobs("local")):
            assert time.monotonic() < until, "the job did not end"
            time.sleep(0.02)

    wait(lambda job: job.metrics)
    app.run()
    wait(lambda job: False)
    return app.run()
