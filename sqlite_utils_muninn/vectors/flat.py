"""Arrays of rowids."""

from .blob import Ids

__all__ = ["Ids"]
