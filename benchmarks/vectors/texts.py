"""Real texts to embed: what Debian's packages are for, and WordNet's definitions.

Both are one line long, both come from Debian: `apt-cache dumpavail`, and its package
`wordnet-base`, which need not be installed (`apt-get download wordnet-base; dpkg -x FILE WHERE`).
"""

from __future__ import annotations

import random
import subprocess
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = ("data.adj", "data.adv", "data.noun", "data.verb")


def texts(count: int, wordnet: Path) -> list[str]:
    """Return so many distinct texts: one of a package, one of WordNet, and so on.

    A longer list begins with a shorter one. Raises ValueError where both together are too few.
    """
    chance = random.Random(7)
    packages, glosses = (_distinct(each) for each in (summaries(), definitions(wordnet)))
    for each in (packages, glosses):
        chance.shuffle(each)
    both = zip_longest(packages, glosses)
    chosen = [text for pair in both for text in pair if text is not None][:count]
    if len(chosen) < count:
        raise ValueError(f"{count:,} texts wanted: apt-cache and {wordnet} have {len(chosen):,}")
    return chosen


def _distinct(given: Iterator[str]) -> list[str]:
    """In order, and without those that differ from another in case or spaces alone."""
    return list({" ".join(text.casefold().split()): text for text in given}.values())


def summaries() -> Iterator[str]:
    """One line about each package that apt knows of."""
    command = ["apt-cache", "dumpavail"]
    try:
        found = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        return
    for line in found.decode("utf-8", "replace").splitlines():
        if line.startswith("Description: "):
            yield line.partition(" ")[2].strip()


def definitions(directory: Path) -> Iterator[str]:
    """Each meaning as a dictionary has it: its words, then the definition without examples."""
    for name in DATA:
        try:
            lines = (directory / name).read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            if line.startswith("  "):  # the licence
                continue
            fields, _, gloss = line.partition(" | ")
            parts = fields.split()
            words = parts[4 : 4 + 2 * int(parts[3], 16) : 2]
            meaning = gloss.partition('; "')[0].strip()
            yield f"{', '.join(words).replace('_', ' ')}: {meaning}"
