"""What a test asks of a browser, which goes on while the page is still on its way.

Whatever follows a key or a click is waited for: the driver returns before the browser has left.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0  # seconds, for a machine that is busy with all else


def wait(holds: Callable[[], bool], what: str) -> None:
    """Until it holds; pages that are just leaving count as not yet."""
    from selenium.common.exceptions import WebDriverException

    end = time.monotonic() + PATIENCE
    while True:
        try:
            if holds():
                return
        except WebDriverException:
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.05)


def arrive(browser: Any, address: str) -> None:
    """Until the browser shows the whole page whose address has this part."""
    wait(
        lambda: address in browser.current_url and find_all(browser, "footer.ft") != [],
        address,
    )


def find(browser: Any, selector: str) -> Any:
    """The first element, once there is one."""
    wait(lambda: find_all(browser, selector) != [], selector)
    return find_all(browser, selector)[0]


def click(browser: Any, selector: str) -> None:
    """On the first element, once it shows."""
    wait(find(browser, selector).is_displayed, f"{selector} shows")
    find(browser, selector).click()


def find_all(browser: Any, selector: str) -> list[Any]:
    from selenium.webdriver.common.by import By

    return list(browser.find_elements(By.CSS_SELECTOR, selector))


def key(name: str) -> str:
    from selenium.webdriver.common.keys import Keys

    return str(getattr(Keys, name))


def severe(browser: Any) -> list[Any]:
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
