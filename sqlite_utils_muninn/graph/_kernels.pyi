"""The compiled loops, as Python sees them."""

from typing import Any

def call(name: str, stop: Any, /, *arguments: Any) -> int: ...
