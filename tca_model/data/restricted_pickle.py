"""Reading the public annotation pickles without running what they say.

A pickle names functions and calls them while it is read. Here it may name only the containers that the public files
are made of (VCDB, CC_WEB_VIDEO, EVVE and FIVR-200K in MKLab-ITI/visil and xwen99/temporal_context_aggregation: dicts,
lists, tuples, sets of strings and numbers); whatever else it names is an error that says so, before it is looked up.
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
    """What the pickle holds, made of plain containers, strings and numbers.

    Raises ValueError when it names anything else or is no pickle, OSError when it cannot be read.
    """
    with path.open("rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()  # Python 2's strings, of which these are ASCII
        except _Refused as refused:
            raise ValueError(
                f"{path} names {refused}, which annotations have no use for: reading it could run code. "
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
            raise ValueError(f"{path} is not a pickle that can be read: {error or type(error).__name__}") from error
