"""The search page of the town, asked for and read."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

PATH = "/town/-/muninn/search"


async def get(instance: Any, parameters: str, status: int = 200) -> Any:
    """The JSON of a search, which must have that status."""
    response = await instance.client.get(f"{PATH}.json?{parameters}")
    assert response.status_code == status, response.text
    return response.json()


class Page(HTMLParser):
    """What the page says, to people and to its script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.text = ""
        self.data: Any = None
        self.scripts_with_text = 0
        self._in: dict[str, str | None] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "li" and "data-node" in given:
            self.rows.append(given["data-node"] or "")
        self._in = given if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._in = None

    def handle_data(self, data: str) -> None:
        if self._in is None:
            self.text += data
        elif self._in.get("id") == "muninn-graph-data":
            self.data = json.loads(data)
        elif "src" not in self._in and data.strip():
            self.scripts_with_text += 1
