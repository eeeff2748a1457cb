"""What decoders report of their jobs."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tca_model.types import Times


@dataclass(frozen=True, slots=True, eq=False)
class FramesDecoded:
    """The next frames (n, H, W, 3) of a job and their times (n,) in seconds; frames of equal time are views of one."""

    job: str
    timestamps_s: Times
    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.timestamps_s.shape != (len(self.images),):
            raise ValueError(f"expected (n, H, W, 3) with (n,), got {self.images.shape}, {self.timestamps_s.shape}")


@dataclass(frozen=True, slots=True)
class CheckpointReached:
    """The job can go on from here: all frames before `time_s` were sent, and none of those after."""

    job: str
    time_s: float
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class DecodeFinished:
    """All frames of the job were sent; the video lasts `duration_s`. `decoded_share`: of its time, from 0 to 1."""

    job: str
    duration_s: float
    decoded_share: float = 1.0


@dataclass(frozen=True, slots=True)
class DecodeFailed:
    """The job failed, possibly after some frames; `reason` is for people.

    `may_pass`: the machine may be to blame, which had no memory or no time for the decoder.
    """

    job: str
    reason: str
    may_pass: bool = False


DecodeEvent: TypeAlias = FramesDecoded | CheckpointReached | DecodeFinished | DecodeFailed
