"""A pickle that names anything but plain containers is rejected, and what it names is never run."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from tca_model.data.restricted_pickle import load_restricted


class Trap:
    """Pickles as a call of its function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def write_pickle(path: Path, value: object, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers_are_read(tmp_path: Path, protocol: int) -> None:
    value = {"a": [1, 2.5, None, True], "b": ({"x", "y"}, frozenset({"z"})), "c": OrderedDict(d="é")}
    assert load_restricted(write_pickle(tmp_path / "plain.pickle", value, protocol)) == value


def test_python_2s_sets_and_strings_are_read(tmp_path: Path) -> None:
    # What Python 2's pickle.dumps({'a': set(['b'])}, 2) writes.
    old = b"\x80\x02}q\x00U\x01aq\x01c__builtin__\nset\nq\x02]q\x03U\x01bq\x04a\x85q\x05Rq\x06s."
    (tmp_path / "old.pickle").write_bytes(old)
    assert load_restricted(tmp_path / "old.pickle") == {"a": {"b"}}


def test_a_call_is_rejected_by_name_and_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "was_run"
    for function, arguments, name in (
        (exec, (f"open({str(marker)!r}, 'w')",), "builtins.exec"),
        (getattr, (marker, "touch"), "builtins.getattr"),
        (Path.touch, (marker,), "builtins.getattr|pathlib.Path"),
        (np.array, ([1],), "numpy.array"),
    ):
        path = write_pickle(tmp_path / "trap.pickle", {"queries": [Trap(function, *arguments)]})
        with pytest.raises(ValueError, match=f"names ({name})") as refusal:
            load_restricted(path)
        assert str(path) in str(refusal.value)
    assert not marker.exists()


def test_persistent_objects_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "persistent.pickle").write_bytes(b"Psome-id\n.")
    with pytest.raises(ValueError, match="persistent object 'some-id'"):
        load_restricted(tmp_path / "persistent.pickle")


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x03}q", b"\x80\x63.", b"."])
def test_a_file_that_is_not_a_pickle_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.pickle").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.pickle is not a readable pickle"):
        load_restricted(tmp_path / "broken.pickle")
