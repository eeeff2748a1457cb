"""vPDQ (facebook/ThreatExchange), for comparison where its package is installed; nothing here depends on it.

One frame per second is hashed to 256 bits (PDQ). At vPDQ's defaults frames of a quality below 50 are left out, and two
frames match within a Hamming distance of 31. The score of a pair is the larger of both shares of matched frames.
"""

import importlib
import importlib.metadata
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LOWEST_QUALITY = 50
LARGEST_DISTANCE = 31

Hashes: TypeAlias = NDArray[np.uint8]  # (frames, 32): 256 bits each


class Missing(Exception):
    """vPDQ cannot be used; the text says why."""


def installed_version() -> str:
    """The version of the package. Raises Missing."""
    try:
        importlib.import_module("vpdq")
        return importlib.metadata.version("vpdq")
    except ImportError as error:
        raise Missing(f"{error} (its package is built from source: a C++ compiler, cmake, FFmpeg's headers)") from error


def describe(videos: Sequence[Path], workers: int, advance: Callable[[int, int], None]) -> dict[Path, Hashes]:
    """The hashes of the videos, each hashed once, in that many processes."""
    distinct = list(dict.fromkeys(videos))
    hashes: dict[Path, Hashes] = {}
    # Processes of its own: vPDQ brings another FFmpeg than PyAV's.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for video, found in zip(distinct, pool.map(hash_video, distinct), strict=True):
            hashes[video] = found
            advance(len(hashes), len(distinct))
    return hashes


def hash_video(video: Path) -> Hashes:
    """Hashes of the frames of sufficient quality; there may be none."""
    frames = importlib.import_module("vpdq").computeHash(str(video), seconds_per_hash=1.0, thread_count=1)
    kept = [bytes.fromhex(frame.hex) for frame in frames if frame.quality >= LOWEST_QUALITY]
    return np.frombuffer(b"".join(kept), dtype=np.uint8).reshape(-1, 32)


def score(query: Hashes, reference: Hashes) -> float:
    """The share of frames that match one of the other video, in the larger direction; 0 if a video has none."""
    if not len(query) or not len(reference):
        return 0.0
    differing = np.bitwise_count(query[:, None] ^ reference[None]).sum(axis=2, dtype=np.int64)  # (Tq, Tr)
    matches = differing <= LARGEST_DISTANCE
    return float(max(matches.any(axis=1).mean(), matches.any(axis=0).mean()))
