"""Chromium, Debian's, to look at pages as people do; and axe, which knows what keeps some people from reading them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

_SERIOUS = ("serious", "critical")
_PATIENCE = 60_000
"""Milliseconds for anything to come about, on a machine that is busy with other tests."""
expect.set_options(timeout=_PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium, without a window, for as long as the block lasts."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is missing. `make test` installs it; Debian: apt-get install chromium") if (
            "CI" in os.environ
        ) else pytest.skip("chromium is missing. Debian: apt-get install chromium")
    # As root, as in containers, Chromium has no sandbox. The pages are the tests' own.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Someone with a browser of their own: its pages, and whatever went wrong on them."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        """Open an empty page. options: of Playwright's new_context, such as `java_script_enabled`, `viewport`."""
        self.context: BrowserContext = browser.new_context(**options)
        self.complaints: list[str] = []
        """Errors and warnings of the console, scripts that failed, and requests that went elsewhere or nowhere."""
        self.requested: list[str] = []
        """The address of every request."""
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(_PATIENCE)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("requestfailed", self._note_failure)
        self.page.on("request", lambda request: self.requested.append(request.url))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _note_failure(self, request: Request) -> None:
        # Whoever goes on to another page ends what the page before still asks for.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.failure}: {request.url}")

    def barriers(self) -> list[str]:
        """Return what axe finds on the page that keeps people from using it: serious and critical findings."""
        # It would fetch style sheets of other addresses, which there are none of.
        found = Axe().run(self.page, options={"preload": False}).response["violations"]
        return [
            f"{violation['id']}: {node['html']}"
            for violation in found
            if violation["impact"] in _SERIOUS
            for node in violation["nodes"]
        ]

    def close(self) -> None:
        self.context.close()
