"""What can go wrong with a model file. Every message is one sentence for the user."""

from __future__ import annotations


class ModelFileError(ValueError):
    """A model could not be found, fetched, made, checked or recorded."""


class Aborted(Exception):
    """A computation was stopped by its context's abort flag."""


class UnknownModelError(ModelFileError):
    """No model of that name is in the catalogue or installed."""


class PullError(ModelFileError):
    """A download failed, or brought a file that is not the one asked for."""


class ConversionError(ModelFileError):
    """Published weights could not be fetched or turned into a GGUF file."""


class StoreError(ModelFileError):
    """The models directory cannot be read or written, or refuses the change."""
