"""Both methods of alignment are judged on the same pairs, with the intervals that each finds."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.alignment import METHODS, compare
from tca_model.evaluation.benchmark import Benchmark, Clip, Copy
from tca_model.types import FloatArray, VideoDescriptor


def video(rows: FloatArray) -> VideoDescriptor:
    return VideoDescriptor(np.arange(len(rows), dtype=np.float64), rows)


def frames(seed: int, count: int) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((count, 64), dtype=np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def test_every_pair_is_scored_by_each_method(tmp_path: Path) -> None:
    original, stranger = Clip(Path("/one.mp4"), "one"), Clip(Path("/two.mp4"), "two")
    copied = Copy(tmp_path / "one-trim.mp4", "trim", original, stranger, 0)
    copied.truth_path.write_text(json.dumps({"duration_s": 10, "intervals_s": [[0, 10, 5, 15]]}))
    benchmark = Benchmark((copied,), (Clip(Path("/three.mp4"), "three"),), (original, stranger))
    one = frames(0, 20)
    rows = {"one": one, "two": frames(1, 20), "three": frames(2, 20), "one-trim": one[5:15]}
    scored, seconds = compare(benchmark, {name: video(some) for name, some in rows.items()})

    assert scored.keys() == seconds.keys() == METHODS.keys()
    assert min(seconds.values()) > 0
    for pairs in scored.values():
        assert [(pair.is_copy, pair.edit) for pair in pairs] == [
            (True, "trim"),
            (False, ""),
            (False, "trim"),
            (False, ""),
        ]
        assert pairs[0].iou == pytest.approx(1)
        assert pairs[0].score is not None
        assert pairs[0].score > 0.9 > 0.6 > max(pair.score or 0 for pair in pairs[1:])
