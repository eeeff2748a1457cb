"""Video copy detection as a library: `describe` a video file, `compare` two described videos.

Importing this package loads neither torch nor av; the first use of a name does (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tca_model.api import DescribedVideo, Describer, PairComparison, compare, describe

__all__ = ["DescribedVideo", "Describer", "PairComparison", "compare", "describe"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("tca_model.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
