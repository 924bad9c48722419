"""`datasette --cors` lets pages of other sites read every JSON: answers and errors."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio

HEADER = "access-control-allow-origin"
ADDRESSES = (
    ("/town/-/muninn/search.json?q=bread", 200),
    ("/town/-/muninn/search.json?q=bread&_size=0", 400),
    ("/town/-/muninn/search.json?q=bread&table=people", 200),
    ("/town/-/muninn/search.json?q=bread&table=people&_size=0", 400),
    ("/-/muninn/models.json", 200),
    ("/-/muninn/models/tiny.json", 200),
    (f"/-/muninn/models/tiny.json?text={'x' * 3000}", 400),
)


@pytest.mark.parametrize(("address", "status"), ADDRESSES)
async def test_other_sites_read_json_where_they_may(town: Any, address: str, status: int) -> None:
    for allowed in (True, False):
        instance = town()
        instance.cors = allowed
        response = await instance.client.get(address)
        assert response.status_code == status
        assert response.headers.get(HEADER) == ("*" if allowed else None)
