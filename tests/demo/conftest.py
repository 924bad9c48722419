"""A data package in miniature, with one of everything that the reader must understand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo import build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    for name, content in miniature().items():
        (folder / f"{name}-lookup-v18.1.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def database(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to build from the miniature package."""
    monkeypatch.setattr(build, "package_folder", lambda: package)
    monkeypatch.setattr(build, "package_version", lambda: "0.0.miniature")
    return tmp_path / "attack.db"


def miniature() -> dict[str, Any]:
    return {
        "attack-patterns": section("attack_patterns", TECHNIQUES),
        "software": section("software", SOFTWARE),
        "groups-campaigns": section("groups_campaigns", ACTORS),
        "mitigations": section("mitigations", MITIGATIONS),
        "relationships": section("relationships", RELATIONSHIPS),
        "detection-objects": {
            "_metadata": {"counts": {"detection_strategies": 1, "analytics": 2}},
            "detection_strategies": STRATEGIES,
            "analytics": ANALYTICS,
        },
        "infrastructure": {
            "tactics": [{"shortname": "command-and-control", "name": "Command and Control"}],
            "collections": [{"version": "18.1"}],
            "marking_definitions": [{"definition": {"statement": "Copyright, MITRE."}}],
        },
    }


def section(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"_metadata": {"count": len(records)}, name: list(records)}


def record(stix_id: str, attack_id: str, name: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "stix_id": stix_id,
        "external_id": attack_id,
        "name": name,
        "description": text,
        "url": f"https://attack.mitre.org/{attack_id}",
        "revoked": False,
        **more,
    }


def edge(number: int, source: str, kind: str, target: str, text: str) -> dict[str, Any]:
    return {
        "stix_id": f"relationship--{number}",
        "relationship_type": kind,
        "source_ref": source,
        "target_ref": target,
        "description": text,
        "revoked": False,
        "deprecated": False,
    }


TECHNIQUES = [
    record(
        "attack-pattern--2",
        "T1001.001",
        "Junk Data",
        "Adversaries may add junk.",
        platforms=["Linux"],
        tactics=["command-and-control"],
        revoked=True,
        deprecated=False,
    ),
    record(
        "attack-pattern--1",
        "T1001",
        "Obfuscation",
        "Adversaries may obfuscate.(Citation: A 2020)",
        platforms=["Linux", "Windows"],
        tactics=["command-and-control"],
        deprecated=False,
    ),
]
SOFTWARE = [
    record(
        "malware--1",
        "S0001",
        "Mal",
        "[Mal](https://attack.mitre.org/software/S0001) steals passwords.",
        stix_type="malware",
        aliases=["Mal", "Evil"],
        platforms=["Windows"],
        deprecated=False,
    )
]
ACTORS = [
    record(
        "campaign--1",
        "C0001",
        "Operation",
        "It went on for months.",
        stix_type="campaign",
        aliases=["Operation"],
        deprecated=False,
        first_seen="2019-01-01T06:00:00.000Z",
        last_seen="2019-04-01T05:00:00.000Z",
    ),
    record(
        "intrusion-set--1",
        "G0001",
        "Crew",
        "A crew.",
        stix_type="intrusion-set",
        aliases=["Crew"],
        deprecated=True,
    ),
]
MITIGATIONS = [
    record("course-of-action--1", "T1001", "Obfuscation Mitigation", "Look.", deprecated=False)
]
STRATEGIES = [
    record(
        "x-mitre-detection-strategy--1",
        "DET0001",
        "Detect Obfuscation",
        "",
        analytic_refs=["x-mitre-analytic--1", "x-mitre-analytic--2"],
    )
]
ANALYTICS = [
    record("x-mitre-analytic--1", "AN0001", "Analytic 0001", "Odd traffic.", platforms=["Windows"]),
    record(
        "x-mitre-analytic--2",
        "AN0002",
        "Analytic 0002",
        "Odd sockets.(Citation: B)",
        platforms=["Linux", "macOS"],
    ),
]
RELATIONSHIPS = [
    edge(
        1,
        "malware--1",
        "uses",
        "attack-pattern--1",
        "[Mal](https://attack.mitre.org/software/S0001) hides.(Citation: A 2020)",
    ),
    edge(2, "attack-pattern--2", "subtechnique-of", "attack-pattern--1", ""),
]
