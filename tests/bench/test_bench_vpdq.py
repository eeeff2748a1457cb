"""The comparison of vPDQ hashes; the package itself is not needed for it."""

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from bench import vpdq


def hashes(*rows: list[int]) -> vpdq.Hashes:
    """Hashes (frames, 32) with these bits set."""
    bits = np.zeros((len(rows), 256), np.uint8)
    for number, row in enumerate(rows):
        bits[number, row] = 1
    return np.packbits(bits, axis=1)


def test_frames_match_up_to_a_distance_of_31_and_the_larger_share_counts() -> None:
    query = hashes([], list(range(100)))
    assert vpdq.score(query, hashes(list(range(31)))) == 1.0  # all of the reference, half of the query
    assert vpdq.score(query, hashes(list(range(31)), list(range(150, 200)))) == 0.5
    assert vpdq.score(query, hashes(list(range(32)))) == 0.0


def test_a_video_without_a_frame_of_enough_quality_matches_nothing() -> None:
    assert vpdq.score(hashes(), hashes([])) == 0.0


def test_frames_of_low_quality_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [SimpleNamespace(quality=quality, hex=f"{quality:064x}") for quality in (49, 50, 100)]
    package = SimpleNamespace(computeHash=lambda *_args, **_options: frames)
    monkeypatch.setattr(importlib, "import_module", lambda _name: package)

    assert vpdq.hash_video(Path("any.mp4"))[:, -1].tolist() == [50, 100]


def test_where_the_package_is_missing_the_error_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(vpdq.Missing, match=r"No module named 'vpdq' .*from source"):
        vpdq.installed_version()
