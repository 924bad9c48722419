"""A real server on loopback and a real browser."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.served import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Chromium must ask nobody but the server: the machine may have no other network.
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # in a container there may be little of it
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """`datasette library.db town.db` over embedded tables and a graph, as its own process."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    pytest.importorskip("gguf", reason="gguf is not installed: tiny models cannot be written")
    folder = tmp_path_factory.mktemp("server")
    config = folder / "datasette.json"
    files = [str(write_library(folder)), str(write_graph(folder))]
    options = {
        "models": {"tiny": str(folder / "tiny.gguf")},
        "models_directory": str(folder),
        "max_seconds": 60,  # the limit of one search, on a machine that is busy
    }
    of_town = {"questions": ["Who bakes bread?", "steel bridges"]}
    whole = {
        "plugins": {"datasette-muninn": options},
        "databases": {"town": {"plugins": {"datasette-muninn": of_town}}},
    }
    config.write_text(json.dumps(whole))
    with served(*files, "-c", config) as address:
        yield address


def write_library(folder: Path) -> Path:
    from sqlite_utils_muninn import Host, connect
    from tests.tiny_gguf import Bert

    Bert().write(folder / "tiny.gguf")
    host = Host(models={"tiny": str(folder / "tiny.gguf")}, models_directory=folder)
    conn = connect(folder / "library.db", host, isolation_level=None)
    conn.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT)")
    conn.executemany("INSERT INTO books(title) VALUES (?)", [(f"Book {i}",) for i in range(40)])
    conn.execute(
        "CREATE VIRTUAL TABLE books_vectors "
        "USING hnsw_text(model='tiny', content='books', content_column='title')"
    )
    conn.execute("INSERT INTO books_vectors(rowid) SELECT id FROM books")
    conn.close()
    return folder / "library.db"


def write_graph(folder: Path) -> Path:
    from sqlite_utils_muninn import Host
    from tests.web.graph_library import write_town

    host = Host(models={"tiny": str(folder / "tiny.gguf")}, models_directory=folder)
    return write_town(folder / "town.db", host)


@pytest.fixture(scope="session")
def browsers() -> Iterator[dict[tuple[Any, ...], Any]]:
    """The browsers of the run: starting one takes longer than most tests."""
    opened: dict[tuple[Any, ...], Any] = {}
    yield opened
    for browser in opened.values():
        browser.quit()


@pytest.fixture
def browse(browsers: dict[tuple[Any, ...], Any]) -> Callable[..., Any]:
    """Opens browsers; `scripts=False` for one without JavaScript, `touch=True` for a phone."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium or chromedriver is not installed")

    def start(width: int, height: int, scripts: bool, touch: bool) -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--window-size={width},{height}"):
            options.add_argument(flag)
        if not scripts:
            value = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", value)
        if touch:
            screen = {"width": width, "height": height, "pixelRatio": 2, "mobile": True}
            options.add_experimental_option(
                "mobileEmulation", {"deviceMetrics": {**screen, "touch": True}}
            )
        return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))

    def open_browser(
        width: int = 1000, height: int = 800, scripts: bool = True, touch: bool = False
    ) -> Any:
        kind = (width, height, scripts, touch)
        if kind not in browsers:
            browsers[kind] = start(*kind)
        browser = browsers[kind]
        # As it was when it started, whatever the last test did to it.
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.get("about:blank")
        browser.get_log("browser")
        return browser

    return open_browser
