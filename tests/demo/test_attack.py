"""Reading the data package's files: small hand-made ones of the same shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo.attack import read_attack

if TYPE_CHECKING:
    from pathlib import Path


def test_objects_come_by_type_and_id(package: Path) -> None:
    attack = read_attack(package)
    assert [(entry.attack_id, entry.type) for entry in attack.objects] == [
        ("T1001", "technique"),
        ("T1001.001", "technique"),
        ("S0001", "malware"),
        ("G0001", "group"),
        ("C0001", "campaign"),
        ("T1001", "mitigation"),
        ("DET0001", "detection strategy"),
    ]
    assert (attack.version, attack.copyright) == ("18.1", "Copyright, MITRE.")


def test_a_sub_technique_is_named_after_its_technique(package: Path) -> None:
    assert named(package, "T1001.001").name == "Obfuscation: Junk Data"


def test_lists_and_dates_of_an_object(package: Path) -> None:
    technique, malware, campaign = (named(package, i) for i in ("T1001", "S0001", "C0001"))
    assert technique.tactics == ("Command and Control",)
    assert technique.platforms == ("Linux", "Windows")
    assert malware.aliases == ("Evil",), "the name itself is no alias"
    assert (campaign.first_seen, campaign.last_seen) == ("2019-01", "2019-04")
    assert technique.citations == ("A 2020",)


@pytest.mark.parametrize(
    ("attack_id", "status"),
    [("T1001", "current"), ("T1001.001", "revoked"), ("G0001", "deprecated")],
)
def test_status_tells_what_attack_no_longer_stands_by(
    package: Path, attack_id: str, status: str
) -> None:
    assert named(package, attack_id).status == status


def test_a_detection_strategy_is_described_by_its_analytics(package: Path) -> None:
    strategy = named(package, "DET0001")
    assert strategy.description == "Windows: Odd traffic.\n\nLinux, macOS: Odd sockets."
    assert strategy.platforms == ("Windows", "Linux", "macOS")
    assert strategy.citations == ("B",)


def test_relationships_keep_their_ends_type_and_cleaned_text(package: Path) -> None:
    [edge, _] = read_attack(package).relationships
    assert (edge.source, edge.type, edge.target) == ("malware--1", "uses", "attack-pattern--1")
    assert (edge.description, edge.citations) == ("Mal hides.", ("A 2020",))


def test_a_file_shorter_than_it_announces_is_refused(package: Path) -> None:
    def drop_one(content: dict[str, Any]) -> None:
        content["relationships"].pop()

    edit(package / "relationships-lookup-v18.1.json", drop_one)
    with pytest.raises(ValueError, match="1 relationships, but the file announces 2"):
        read_attack(package)


def test_a_missing_file_is_named(package: Path) -> None:
    (package / "software-lookup-v18.1.json").unlink()
    with pytest.raises(ValueError, match=r"expected one software-lookup-v\*.json, found 0"):
        read_attack(package)


def named(package: Path, attack_id: str) -> Any:
    return next(entry for entry in read_attack(package).objects if entry.attack_id == attack_id)


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
