"""Arguments that several functions of this room take, declared once."""

from __future__ import annotations

from sqlite_utils_muninn.bridge import Parameter

MODEL = Parameter("model", kind="text", help="Name of a model, or the path of a .gguf file.")
TEXT = Parameter("text", kind="text")
