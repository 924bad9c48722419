"""Writes docs/sql.md and docs/cli.md from the declarations: python -m docs.reference [--check]"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqlite_utils_muninn.bridge import Function, Module, Parameter, TableFunction
from sqlite_utils_muninn.loading import ROOMS
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER = Path(__file__).parent
OURS = ("embed", "similar", "rerank", "muninn")
WIDTH = 80


def sql_reference() -> str:
    """Every function and table that load() puts on a connection, room by room."""
    parts = ["# SQL reference", "Written by `python -m docs.reference` from the declarations."]
    for room in ROOMS:
        module = import_module(f"sqlite_utils_muninn.{room}.sql")
        parts.append(f"## {room.capitalize()}")
        parts.extend(_entry(declaration) for declaration in module.surface(Host(threads=1)))
    return "\n\n".join(parts) + "\n"


def _entry(declaration: Any) -> str:
    words = declaration.help
    declaration = getattr(declaration, "declaration", declaration)
    lines = [f"### {_signature(declaration)}", words]
    if isinstance(declaration, TableFunction):
        lines.append("Columns: " + ", ".join(f"`{column}`" for column in declaration.columns))
    table = _parameters(declaration.parameters)
    if table:
        lines.append(table)
    return "\n\n".join(lines)


def _signature(declaration: Any) -> str:
    names = ", ".join(_short(parameter) for parameter in declaration.parameters)
    if isinstance(declaration, Function):
        returns = f" → {declaration.returns}" if declaration.returns else ""
        return f"`{declaration.name}({names})`{returns}"
    if isinstance(declaration, Module):
        kind = "`temp." if declaration.eponymous else "`CREATE VIRTUAL TABLE … USING "
        return f"{kind}{declaration.name}`"
    return f"`SELECT … FROM {declaration.name}({names})`"


def _short(parameter: Parameter) -> str:
    return parameter.name if parameter.is_required else f"[{parameter.name}]"


def _parameters(parameters: Sequence[Parameter]) -> str:
    told = [p for p in parameters if p.help or p.default not in (None, "")]
    if not any(p.help or not p.is_required for p in told):
        return ""
    rows = ["| argument | default | |", "| --- | --- | --- |"]
    for p in parameters:
        default = "" if p.is_required or p.default is None else f"`{p.default}`"
        rows.append(f"| `{p.name}` | {default} | {p.help} |")
    return "\n".join(rows)


def cli_reference() -> str:
    """The help of every command of ours."""
    from sqlite_utils.cli import cli

    parts = ["# Command line reference", "Written by `python -m docs.reference` from the help."]
    parent = click.Context(cli, info_name="sqlite-utils", **cli.context_settings)
    for name in OURS:
        parts.extend(_help(cli.commands[name], name, parent))
    return "\n\n".join(parts) + "\n"


def _help(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent, name, terminal_width=WIDTH)
    yield f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for part in sorted(command.commands):
            yield from _help(command.commands[part], part, context)


PAGES = {"sql.md": sql_reference, "cli.md": cli_reference}


def stale() -> list[str]:
    """Pages that are not what the declarations say."""
    return [
        file
        for file, write in PAGES.items()
        if not (FOLDER / file).exists() or (FOLDER / file).read_text(encoding="utf-8") != write()
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(f"run python -m docs.reference: {', '.join(stale())}" if stale() else 0)
    for file, write in PAGES.items():
        (FOLDER / file).write_text(write(), encoding="utf-8")
