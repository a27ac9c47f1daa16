"""Pages in a real Chromium: what its console says, what they ask the network for, how wide they are."""

import json
import os
import shutil
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).parents[1]
REQUIRED = "ARMORM_BROWSER_TESTS"
"""Set to 'required', this makes a test fail where it would skip for want of a browser."""

AXE = ROOT / "tests" / "node_modules" / "axe-core" / "axe.min.js"
"""The accessibility checker, where `npm ci --prefix tests` puts it."""

LOAD_SECONDS = 60
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers run tests as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no test reaches for a network
)


@dataclass
class Browser:
    """A headless Chromium with one tab. `open` a page, then ask about it."""

    driver: "Chrome"
    console: list[str] = field(default_factory=list)
    """Lines that the page's scripts, policies and resources brought to the console since `open`."""
    requests: list[str] = field(default_factory=list)
    """URLs asked for since `open`, the page's own first; what is inside the page (`data:`) is no request."""

    def open(
        self,
        page: str | Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        reduced_motion: bool = False,
    ) -> None:
        """Load a page, given as URL or as file, in a window of so many CSS pixels, and wait until it is loaded."""
        self._command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if reduced_motion else "no-preference",
        }
        self._command(
            "Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()]
        )
        self.driver.get("about:blank")
        self.listen()
        self.console, self.requests = [], []
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)
        self._wait_until_loaded()
        self.listen()

    def listen(self) -> None:
        """Add to `console` and `requests` what happened since; after a click, say."""
        self.console += [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        self.requests += [url for url in urls if not url.startswith(("data:", "about:"))]

    def block(self, *patterns: str) -> None:
        """Let requests for URLs of these patterns fail from now on, and no others; `*` stands for anything."""
        self._command("Network.enable")
        self._command("Network.setBlockedURLs", urls=list(patterns))

    def run(self, script: str, *arguments: Any) -> Any:
        """Value of a script's `return`, run in the page; the page's own policy does not bind it."""
        return self.driver.execute_script(script, *arguments)

    @property
    def overflow(self) -> int:
        """CSS pixels that the page is wider than its window; 0 where nothing has to be scrolled sideways."""
        return int(
            self.run("const page = document.documentElement; return Math.max(0, page.scrollWidth - page.clientWidth)")
        )

    def violations(self) -> list[str]:
        """Findings of axe-core about the page's accessibility, one line an element; skips without axe-core."""
        self.run(_axe())
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then(told => done(told.violations))"
        )
        return [
            f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})" for rule in found for node in rule["nodes"]
        ]

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of the whole page, or of what its window shows."""
        taken = self._command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(b64decode(taken["data"]))

    def pdf(self, path: Path) -> None:
        """Print the page on A4, as the print dialogue does without its background colours."""
        printed = self._command("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(b64decode(printed["data"]))

    def _wait_until_loaded(self) -> None:
        # chromedriver, which waits too, now and then takes the end of about:blank for the end of the page behind it.
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, LOAD_SECONDS).until(lambda _: self.run("return document.readyState") == "complete")

    def _command(self, name: str, **arguments: Any) -> dict[str, Any]:
        return self.driver.execute_cdp_cmd(name, arguments)


def start(profile: Path) -> Browser:
    """Start a browser with an empty profile in `profile`; quit its driver at the end."""
    # Here, because the venv of the vllm tests reads this file too, and has no selenium.
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return Browser(Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver"))))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for the tests of one process; the Debian packages chromium and chromium-driver."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            _lacking(f"there is no {program}: install the packages chromium and chromium-driver")
    started = start(tmp_path_factory.mktemp("chromium"))
    yield started
    started.driver.quit()


@cache
def _axe() -> str:
    if not AXE.exists():
        _lacking("axe-core is not there: run `npm ci --prefix tests`")
    return AXE.read_text(encoding="utf-8")


def _lacking(reason: str) -> None:
    (pytest.fail if os.environ.get(REQUIRED) == "required" else pytest.skip)(reason)
