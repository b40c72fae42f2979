"""A real headless Chromium for the tests of the launcher's page, where there is one.

A page that complains at its console fails its test. `python -m tests.launcher.chromium` says in one
line whether these tests are skipped here, and how to run them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.limits import HANG_MS

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WIDE: Final = (1560, 1000)
NARROW: Final = (400, 860)

LOST: Final = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE")
"""What Chromium itself says of a server that has gone; no script can keep it from that."""


IS_DRAWN: Final = """async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const canvas = document.querySelector('#messages');
    const blank = document.createElement('canvas');
    [blank.width, blank.height] = [canvas.width, canvas.height];
    return canvas.toDataURL() !== blank.toDataURL();
}"""
"""Whether a message is drawn in the ring, two frames from now."""


SETTLED: Final = """async () => {
    await Promise.allSettled(document.getAnimations().map((one) => one.finished));
}"""
"""Waits for the transitions and animations that are under way."""


class Chromium:
    """A browser; each page is in a context of its own, with nothing of the others."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def page(
        self,
        url: str,
        size: tuple[int, int] = WIDE,
        scheme: str = "light",
        *,
        still: bool = False,
        loses: bool = False,
    ) -> Iterator[Any]:
        """A page at this address. With `loses` the test takes its server away."""
        width, height = size
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce" if still else "no-preference",
        )
        context.set_default_timeout(HANG_MS)
        complaints: list[str] = []
        page = context.new_page()
        page.on("console", lambda said: _note(complaints, said, loses=loses))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        try:
            yield page
        finally:
            context.close()
        assert complaints == [], complaints


def _note(complaints: list[str], said: Any, *, loses: bool) -> None:
    if said.type not in {"error", "warning"}:
        return
    if not (loses and any(word in said.text for word in LOST)):
        complaints.append(said.text)


def program() -> str | None:
    """The path of a Chromium, or None."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def missing() -> str:
    """What the tests in a browser need and do not have; empty if they can run."""
    wanted = []
    packages = ("playwright", "axe_playwright_python")
    if any(importlib.util.find_spec(package) is None for package in packages):
        wanted.append("the extra browser (pip install -e '.[test,browser]')")
    if program() is None:
        wanted.append("a Chromium in the path or in $CHROMIUM")
    return " and ".join(wanted)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A Chromium; skips the test where there is none, or no playwright to drive it."""
    wanted = missing()
    if wanted:
        pytest.skip(f"needs {wanted}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(FLAGS))
        try:
            yield Chromium(browser)
        finally:
            browser.close()


def axe_script() -> str:
    """The script of axe-core from its installed package."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


def axe_complaints(page: Any) -> list[str]:
    """What axe-core finds wrong with a page as it is, once no colour changes any more."""
    page.evaluate(SETTLED)
    # The page's own policy forbids foreign scripts; the debugger may add one.
    page.evaluate(axe_script())
    found = page.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")
    return [
        f"{rule['id']}: {rule['help']}: {node['target']} {node.get('failureSummary', '')[:300]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def _main() -> None:
    wanted = missing()
    files = "python -m pytest tests/launcher -k page"
    if wanted:
        sys.stdout.write(
            f"The page's tests in a browser were skipped: they need {wanted}. Then: {files}\n"
        )
    else:
        sys.stdout.write(f"The page's tests in a browser can run: {files}\n")


if __name__ == "__main__":
    _main()
