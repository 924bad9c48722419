"""Who may import whom: an arrow that is turned around costs years, and is one line in a review."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
BELOW = {
    "bridge": set(),
    "settings": set(),
    "hookspecs": {"models"},
    "models": {"bridge", "settings", "hookspecs"},
    "graph": {"bridge", "settings"},
    "vectors": {"bridge", "settings", "models"},
    "search": {"bridge", "settings", "models", "vectors", "graph"},
}
"""What each room stands on; it knows nothing of the others."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of both packages, and its file."""
    for package in ("sqlite_utils_muninn", "datasette_muninn"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def statements(path: Path, types: bool = True) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a file, wherever in it; those of types alone only where they are wanted."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif types or not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            waiting += ast.iter_child_nodes(node)


def imported(module: str, path: Path, types: bool = True) -> Iterator[str]:
    """The modules that a module imports, and the names that it takes from them."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in statements(path, types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from (name, *(f"{name}.{alias.name}" for alias in node.names))


def room(name: str) -> str:
    """The part of a package that a module lies in."""
    return ".".join(name.split(".")[:2])


def test_the_web_is_known_to_nobody_below() -> None:
    for module, path in modules():
        if module.startswith("sqlite_utils_muninn"):
            packages = {name.partition(".")[0] for name in imported(module, path)}
            assert not packages & {"datasette", "datasette_muninn"}, module


def test_rooms_import_only_what_they_stand_on() -> None:
    rooms = {f"sqlite_utils_muninn.{name}" for name in (*BELOW, "commands", "loading")}
    for module, path in modules():
        own = room(module).removeprefix("sqlite_utils_muninn.")
        if own in BELOW:
            below = {f"sqlite_utils_muninn.{name}" for name in (own, *BELOW[own])}
            others = {room(name) for name in imported(module, path)} & rooms - below
            assert not others, f"{module} imports {sorted(others)}"


def folder(name: str) -> str:
    """The folder of a room that a module lies in; a module of no folder stands for itself."""
    parts = name.split(".")
    return ".".join(parts[:3]) if len(parts) > 2 else ""


@pytest.mark.parametrize("part", [room, folder])
def test_parts_do_not_import_each_other_in_circles(part: Callable[[str], str]) -> None:
    graph: dict[str, set[str]] = {}
    for module, path in modules():
        if "." in module and part(module):
            found = {part(name) for name in imported(module, path, types=False)}
            graph.setdefault(part(module), set()).update(found - {part(module)})
    try:
        TopologicalSorter({name: found & set(graph) for name, found in graph.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_imports_within_a_room_are_relative() -> None:
    """So that each line says whether it leaves the room."""
    for module, path in modules():
        if room(module).removeprefix("sqlite_utils_muninn.") in BELOW:
            for node in statements(path):
                is_absolute = isinstance(node, ast.ImportFrom) and node.module and not node.level
                assert not (is_absolute and room(node.module) == room(module)), (
                    f"{module}: {ast.unparse(node)}"
                )


def test_private_names_stay_in_their_module() -> None:
    """A name with an underscore that another module reaches for is public in truth."""
    compiled = {"_vtbridge", "_hnsw", "_kernels", "_encoder"}
    for module, path in modules():
        for name in imported(module, path):
            last = name.rpartition(".")[2]
            is_ours = name.startswith(("sqlite_utils_muninn", "datasette_muninn"))
            is_private = last.startswith("_") and not last.startswith("__")
            assert not (is_ours and is_private) or last in compiled, f"{module} imports {name}"
