"""Giving models names: `muninn_embed_model` and `temp.muninn_models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils_muninn.bridge import Function, Module, Parameter, Pointer

from ..errors import ModelFileError
from .table import ModelsTable

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host


def surface(host: Host) -> list[Declaration]:
    """Return what registers models, as far as the host allows it."""

    def embed_model(db: Database, path: str, n_ctx: int | None) -> Pointer:
        from ..registry import registry

        if host.public:
            raise PermissionError("muninn_embed_model: files cannot be named on this connection")
        try:
            return Pointer(registry().open(path, host.models_directory, context=n_ctx))
        except ModelFileError:  # "failed to load PATH: why" is a whole sentence
            raise
        except ValueError as error:
            raise ValueError(f"muninn_embed_model: {error}") from error

    def connect(db: Database, schema: str, table: str, arguments: list[str]) -> ModelsTable:
        return ModelsTable(db, host)

    return [
        Function(
            "muninn_embed_model",
            (
                Parameter(
                    "path", kind="text", help="A GGUF file, or the name of an installed one."
                ),
                Parameter("n_ctx", None, kind="integer", help="Most tokens read of one text."),
            ),
            embed_model,
            help="A model for the model column of temp.muninn_models.",
            returns="pointer",
            safety="directonly",
        ),
        Module(
            "muninn_models",
            ModelsTable,
            create=connect,
            connect=connect,
            help="The models of this connection by name; INSERT registers, DELETE forgets.",
            eponymous=True,
        ),
    ]
