"""The compiled half of the bridge; everything else is declared in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("sqlite_utils_muninn/bridge/src")

setup(
    ext_modules=[
        Extension(
            "sqlite_utils_muninn.bridge._vtbridge",
            sources=sorted(str(path) for path in SOURCES.glob("*.c")),
            depends=sorted(str(path) for path in SOURCES.glob("*.h")),
            define_macros=[("Py_LIMITED_API", "0x030A0000")],
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
