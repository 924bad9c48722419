"""Colours of a page, and how far they stand out from each other."""

from __future__ import annotations

from typing import Any


def colour(browser: Any, selector: str, kind: str) -> list[float]:
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    return rgb(browser.execute_script(script, selector, kind))


def luminance(rgb: list[float]) -> float:
    """Relative luminance, WCAG 2."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    """Contrast ratio, WCAG 2."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def rgb(text: str) -> list[float]:
    return [float(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]


def hexadecimal(text: str) -> list[float]:
    digits = text.strip().lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    return [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
