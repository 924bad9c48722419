"""The compiled files: bridge, graph kernels, vector index; the rest is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import Extension, setup


def extension(package: str, name: str, *flags: str) -> Extension:
    """Compile src/*.c of a package into one file that runs on every Python from 3.10 on."""
    sources = Path(*package.split(".")) / "src"
    return Extension(
        f"{package}.{name}",
        sources=sorted(str(path) for path in sources.glob("*.c")),
        depends=sorted(str(path) for path in sources.glob("*.h")),
        define_macros=[("Py_LIMITED_API", "0x030A0000")],
        extra_compile_args=[] if sys.platform == "win32" else list(flags),
        py_limited_api=True,
    )


setup(
    ext_modules=[
        extension("sqlite_utils_muninn.bridge", "_vtbridge"),
        extension("sqlite_utils_muninn.graph", "_kernels", "-O3"),
        extension("sqlite_utils_muninn.models", "_encoder", "-O3", "-ffp-contract=off"),
        # No fused multiply-add: the same rows make the same index on every machine.
        extension("sqlite_utils_muninn.vectors", "_hnsw", "-O3", "-ffp-contract=off"),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
