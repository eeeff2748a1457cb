"""Videos that are made for the bench: parts one after another, each drawn or laid over clips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
from PIL import ImageOps
from PIL.Image import Image as Picture

from bench.alike.drawings import find_drawing
from bench.alike.overlays import LOOKS
from bench.alike.words import SIZE
from tca_model.synthetic.writer import write_video
from tca_model.types import Image
from tca_model.video.decode import sample_frames

FPS = 2  # one frame a second is described


@dataclass(frozen=True, slots=True)
class Part:
    """`clips` or a `drawing` from `start_s` on for `duration_s`, under a look ("": as they are)."""

    duration_s: float
    clips: tuple[Path, ...] = ()
    drawing: str = ""
    look: str = ""
    seed: int = 0
    start_s: float = 0.0

    def iter_images(self) -> Iterator[Image]:
        """The pictures at FPS. Raises DecodeError for a damaged clip."""
        pictures: Iterator[Sequence[Picture]]
        if self.drawing:
            draw = find_drawing(self.drawing)(self.seed)
            pictures = ([draw(self.start_s + index / FPS)] for index in range(round(self.duration_s * FPS)))
        else:
            pictures = zip(*(iter_pictures(clip, self.start_s, self.duration_s) for clip in self.clips), strict=False)
        for index, shown in enumerate(pictures):
            yield np.asarray(LOOKS[self.look](shown, index / FPS, self.seed))


@dataclass(frozen=True, slots=True)
class MadeVideo:
    """A video of these parts."""

    path: Path
    parts: tuple[Part, ...]
    crf: int = 23

    def make(self) -> None:
        """Write the video unless it exists."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_video(self.path, (image for part in self.parts for image in part.iter_images()), fps=FPS, crf=self.crf)


def iter_pictures(clip: Path, start_s: float, duration_s: float) -> Iterator[Picture]:
    """The pictures of a clip at FPS from `start_s` on, filling SIZE; fewer if it ends before.

    Raises DecodeError for a damaged clip.
    """
    with clip.open("rb") as file:
        frames = (frame for frame in sample_frames(file, every_s=1 / FPS) if frame.timestamp_s >= start_s - 1e-3)
        for frame in islice(frames, round(duration_s * FPS)):
            yield ImageOps.fit(PIL.Image.fromarray(frame.image), SIZE)
