"""How far the frames of a whole file have come, as bytes for the cache."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from tca_model.sealed import seal, unseal
from tca_model.types import FloatArray

VERSION: Final = 1  # increase it with every change of what is remembered, or of how stills follow from it


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """What is needed to go on with a file in the middle.

    `checkpoint` is the decoder's, before its frame at `time_s`; `shown` is what Stills remembers there.
    """

    time_s: float
    shown: tuple[tuple[FloatArray, float], ...]
    checkpoint: bytes

    def to_bytes(self) -> bytes:
        """The progress as bytes."""
        header: dict[str, Any] = {"version": VERSION, "time_s": self.time_s}
        header |= {"shown": [(picture.shape, first_s) for picture, first_s in self.shown]}
        return seal(header, b"".join([*(picture.tobytes() for picture, _ in self.shown), self.checkpoint]))

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """The progress in these bytes. Raises ValueError if there is none of this release."""
        header, body = unseal(value, version=VERSION)
        shown, at = [], 0
        for (rows, columns), first_s in header["shown"]:
            picture = np.frombuffer(body, np.float32, rows * columns, at).reshape(rows, columns)
            shown.append((picture, float(first_s)))
            at += picture.nbytes
        return cls(float(header["time_s"]), tuple(shown), body[at:])
