"""The search page, as somebody uses it."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_search_by_keyboard_from_the_database_to_a_row(
    server: str, browse: Any, scripts: bool
) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = browse(scripts=scripts)
    browser.get(f"{server}/library")
    box = browser.find_element(By.CSS_SELECTOR, "form[role=search] input[type=search]")
    box.send_keys("some book" + Keys.ENTER)
    assert "/library/-/muninn/search?q=some+book" in browser.current_url
    results = browser.find_elements(By.CSS_SELECTOR, ".muninn-results > li")
    assert len(results) == 20
    widths = [r.find_element(By.TAG_NAME, "meter").get_attribute("value") for r in results]
    assert widths == sorted(widths, reverse=True)
    link = results[0].find_element(By.TAG_NAME, "a")
    title = link.text
    link.send_keys(Keys.ENTER)
    assert "/library/books/" in browser.current_url
    assert title in browser.find_element(By.CSS_SELECTOR, "table.rows-and-columns").text


def test_everything_fits_on_a_phone(server: str, browse: Any) -> None:
    browser = browse(width=500)
    browser.get(f"{server}/library/-/muninn/search?q=book")
    wide = browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
    assert not wide


def test_the_form_has_a_name_for_screen_readers(server: str, browse: Any) -> None:
    from selenium.webdriver.common.by import By

    browser = browse()
    browser.get(f"{server}/library/-/muninn/search")
    box = browser.switch_to.active_element
    assert box.get_attribute("type") == "search"
    assert box.accessible_name == "Find rows that mean"
    browser.get(f"{server}/library/-/muninn/search?q=book")
    meters = browser.find_elements(By.TAG_NAME, "meter")
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


def colour(browser: Any, selector: str, kind: str) -> list[float]:
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    text = browser.execute_script(script, selector, kind)
    return [float(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]


def luminance(rgb: list[float]) -> float:
    """Relative luminance, WCAG 2."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    """Contrast ratio, WCAG 2."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
