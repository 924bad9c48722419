"""The search page, as somebody uses it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.browser import arrive, find, find_all, key
from tests.end_to_end.colours import colour, contrast, luminance


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_search_by_keyboard_from_the_database_to_a_row(
    server: str, browse: Any, scripts: bool
) -> None:
    browser = browse(scripts=scripts)
    browser.get(f"{server}/library")
    find(browser, "form[role=search] input[type=search]").send_keys("some book" + key("ENTER"))
    arrive(browser, "/library/-/muninn/search?q=some+book")
    assert len(find_all(browser, ".muninn-results > li")) == 20
    meters = find_all(browser, ".muninn-results > li meter")
    widths = [meter.get_attribute("value") for meter in meters]
    assert widths == sorted(widths, reverse=True)
    link = find(browser, ".muninn-results > li a")
    title = link.text
    link.send_keys(key("ENTER"))
    arrive(browser, "/library/books/")
    assert title in find(browser, "table.rows-and-columns").text


def test_everything_fits_on_a_phone(server: str, browse: Any) -> None:
    browser = browse(width=500)
    browser.get(f"{server}/library/-/muninn/search?q=book")
    wide = browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
    assert not wide


def test_the_form_has_a_name_for_screen_readers(server: str, browse: Any) -> None:
    browser = browse()
    browser.get(f"{server}/library/-/muninn/search")
    box = browser.switch_to.active_element
    assert box.get_attribute("type") == "search"
    assert box.accessible_name == "Find rows that mean"
    browser.get(f"{server}/library/-/muninn/search?q=book")
    meters = find_all(browser, "meter")
    assert {meter.accessible_name for meter in meters} == {"similarity"}


def test_text_stands_out_in_the_dark(server: str, browse: Any) -> None:
    """The fault: dark text on a dark ground, or light on light."""
    browser = browse()
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(f"{server}/library/-/muninn/search?q=book")
    ground = colour(browser, "body", "backgroundColor")
    assert luminance(ground) < 0.05
    for selector in ("h1", ".muninn-results h2 a", ".muninn-score", ".muninn-form label"):
        assert contrast(ground, colour(browser, selector, "color")) >= 4.5, selector
