"""Reads the public annotation pickles without running code in them.

A pickle names functions, and reading it calls them. Here it may name only the containers that the public files are
made of (VCDB, CC_WEB_VIDEO, EVVE and FIVR-200K in MKLab-ITI/visil and xwen99/temporal_context_aggregation: dicts,
lists, tuples, sets of strings and numbers). Any other name is an error before it is looked up.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

ALLOWED: dict[tuple[str, str], type] = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("__builtin__", "set"): set,  # as Python 2 wrote them
    ("__builtin__", "frozenset"): frozenset,
    ("collections", "OrderedDict"): OrderedDict,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in ALLOWED:
            raise _Refused(f"{module_name}.{global_name}")
        return ALLOWED[module_name, global_name]

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused(f"the persistent object {pid!r}")


class _Refused(Exception):
    pass


def load_restricted(path: Path) -> Any:
    """The content of a pickle of plain containers, strings and numbers.

    Raises ValueError if it names anything else or is not a pickle, OSError if it cannot be read.
    """
    with path.open("rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()  # for Python 2's strings; these are all ASCII
        except _Refused as refused:
            raise ValueError(
                f"{path} names {refused}, which annotations never need: reading it could run code. "
                "Take the file from its public repository"
            ) from None
        except (
            pickle.UnpicklingError,
            EOFError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
            MemoryError,
        ) as error:
            raise ValueError(f"{path} is not a readable pickle: {error or type(error).__name__}") from error
