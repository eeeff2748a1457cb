"""A point in a file from which sampling goes on as if it had not been interrupted, as bytes.

Times and panels depend on every frame before it, so it is not enough to seek there. It is found again by its picture:
after seeking, a decoder may show something else than one that came there from the start.
"""

import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Self

import numpy as np
from av.video.frame import VideoFrame

from tca_model.sealed import seal, unseal
from tca_model.video.clock import ClockMemory
from tca_model.video.coverage import CoverageMemory
from tca_model.video.panels import Panel, PanelMemory
from tca_model.video.picture import PictureConverter

VERSION: Final = 2  # increase it with every change of what is remembered, or of how frames follow from it


def sum_picture(frame: VideoFrame) -> int:
    """A checksum of a small picture of the frame. Raises DecodeError."""
    return zlib.crc32(PictureConverter(None, remove_bars=False).shrink(frame).tobytes())


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The state before a frame is sampled whose time is known already.

    `pts` and `checksum` are of that frame, which is decoded once more. `sampled`: the number of frames before it.
    """

    time_s: float
    pts: int
    checksum: int
    sampled: int
    clock: ClockMemory
    coverage: CoverageMemory
    panels: PanelMemory | None

    def to_bytes(self) -> bytes:
        """The checkpoint as bytes."""
        memory = self.panels
        clock = [None if value is None else str(value) for value in self.clock[:-1]]
        header: dict[str, Any] = {"version": VERSION, "values": [self.time_s, self.pts, self.checksum, self.sampled]}
        header |= {"clock": clock, "coverage": self.coverage}
        header |= {"seen": memory and memory.seen, "panels": memory and memory.panels}
        arrays = b""
        if memory is not None and memory.last is not None:
            header |= {"shape": memory.last.shape, "steps": memory.vertical.dtype.str}
            arrays = b"".join(array.tobytes() for array in (memory.last, memory.vertical, memory.horizontal))
        return seal(header, arrays)

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """The checkpoint in these bytes. Raises ValueError if there is none of this release."""
        header, arrays = unseal(value, version=VERSION)
        try:
            time_s, pts, checksum, sampled = header["values"]
            clock = ClockMemory(*(None if one is None else Fraction(one) for one in header["clock"]))  # type: ignore[arg-type]
            coverage = CoverageMemory(*header["coverage"])
            panels = None if header["seen"] is None else _read_panels(header, arrays)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a checkpoint: {error!r}") from error
        return cls(time_s, pts, checksum, sampled, clock, coverage, panels)


def _read_panels(header: dict[str, Any], arrays: bytes) -> PanelMemory:
    panels = tuple(Panel(*panel) for panel in header["panels"])
    if "shape" not in header:
        return PanelMemory(seen=header["seen"], panels=panels)
    height, width = header["shape"]
    count = height * width
    last = np.frombuffer(arrays, np.int16, count)
    vertical, horizontal = np.frombuffer(arrays, header["steps"], 2 * count, last.nbytes).reshape(2, height, width)
    return PanelMemory(last.reshape(height, width), vertical, horizontal, header["seen"], panels)
