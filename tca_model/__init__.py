"""Video copy detection as a library: `describe` a video file, `compare` two described videos.

Importing `tca_model` loads neither torch nor av, nor do the errors; the first use of `describe`, `compare` or a class
does, be it `from tca_model import describe` (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tca_model.api import DescribedVideo, Describer, PairComparison, compare, describe
    from tca_model.errors import BundleError, DecodeError

__all__ = ["BundleError", "DecodeError", "DescribedVideo", "Describer", "PairComparison", "compare", "describe"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "errors" if name in ("BundleError", "DecodeError") else "api"
    return getattr(import_module(f"tca_model.{module}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
