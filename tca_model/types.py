"""Values that pass between the stages of the model; arrays never travel without their times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]  # (H, W, 3) RGB
FloatArray: TypeAlias = NDArray[np.float32]
Times: TypeAlias = NDArray[np.float64]  # (T,) seconds, ascending

# float16 storage moves a unit row's norm by up to 1e-3; anything further off was never normalised.
UNIT_TOLERANCE = 5e-3
# The contrast of an interval that is too short to have one, or comes from a release that did not measure it.
TYPICAL_CONTRAST = 0.1


class Frame(NamedTuple):
    """One sampled frame: seconds from the start of its video, and RGB pixels (H, W, 3)."""

    timestamp_s: float
    image: Image


@dataclass(frozen=True, slots=True, eq=False)
class VideoDescriptor:
    """Frame descriptors (T, D), unit rows, of a stretch of video, with their times (T,) in seconds.

    Raises ValueError when shapes disagree, times go backwards or a row is not of unit length.
    """

    timestamps_s: Times
    frames: FloatArray

    def __post_init__(self) -> None:
        if self.frames.ndim != 2 or self.timestamps_s.shape != (len(self.frames),):
            raise ValueError(
                f"expected frames (T, D) with times (T,), got {self.frames.shape} with {self.timestamps_s.shape}"
            )
        if np.any(np.diff(self.timestamps_s) < 0):
            raise ValueError("frame times must not go backwards")
        norms = np.linalg.norm(self.frames, axis=1)
        if not np.all(np.abs(norms - 1) < UNIT_TOLERANCE):
            raise ValueError("frame descriptors must be finite and of unit length")

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The descriptor of consecutive stretches of one video. Raises ValueError without parts, or out of order."""
        filled = [part for part in parts if len(part)] or parts  # a stretch without frames may have any width
        return cls(
            np.concatenate([part.timestamps_s for part in filled]), np.concatenate([part.frames for part in filled])
        )

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class Match:
    """One copied interval, on both sides in seconds, half-open, with the mean similarity along it.

    `contrast`: how far it stands out from its surroundings, 1 or less (`matching.contrast`).
    """

    query_start_s: float
    query_end_s: float
    reference_start_s: float
    reference_end_s: float
    similarity: float
    contrast: float = TYPICAL_CONTRAST

    def __post_init__(self) -> None:
        if self.query_end_s <= self.query_start_s or self.reference_end_s <= self.reference_start_s:
            raise ValueError(f"a copied interval must last on both sides: {self}")

    def limit(self, query_s: float, reference_s: float) -> Self:
        """The match within the durations of both videos: a frame counts as a second, but the last one may be shorter.

        A duration that is not beyond the start is not known yet, and limits nothing.
        """
        query_end_s = min(self.query_end_s, query_s) if query_s > self.query_start_s else self.query_end_s
        known = reference_s > self.reference_start_s
        reference_end_s = min(self.reference_end_s, reference_s) if known else self.reference_end_s
        return replace(self, query_end_s=query_end_s, reference_end_s=reference_end_s)

    def swap_sides(self) -> Self:
        """The match as the reference's copy of the query."""
        return replace(
            self,
            query_start_s=self.reference_start_s,
            query_end_s=self.reference_end_s,
            reference_start_s=self.query_start_s,
            reference_end_s=self.query_end_s,
        )

    def cut_reference(self, start_s: float, end_s: float) -> list[Self]:
        """What is left of the match without this stretch of the reference: none, one or two pieces on its line."""
        speed = (self.query_end_s - self.query_start_s) / (self.reference_end_s - self.reference_start_s)

        def query_s(reference_s: float) -> float:
            return self.query_start_s + (reference_s - self.reference_start_s) * speed

        pieces = []
        if start_s > self.reference_start_s:
            end = min(start_s, self.reference_end_s)
            pieces.append(replace(self, query_end_s=query_s(end), reference_end_s=end))
        if end_s < self.reference_end_s:
            start = max(end_s, self.reference_start_s)
            pieces.append(replace(self, query_start_s=query_s(start), reference_start_s=start))
        return [self] if start_s >= self.reference_end_s or end_s <= self.reference_start_s else pieces
