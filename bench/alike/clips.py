"""The real clips: what their manifest says of them, and whether their camera stands, moves or cuts."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tca_model.data.held_out import HELD_OUT, MANIFEST
from tca_model.video.decode import sample_frames

SIZE, EVERY_S = (64, 36), 0.2  # of the pictures in which movement is looked for
CUT_LEVELS, CUT_TIMES = 25.0, 3.0
STILL_LEVELS = 4.0
LONG_ENOUGH_S = 8.0


@dataclass(frozen=True, slots=True)
class DevClip:
    """A clip with its group (one work or scene) and its family (one room, robot or person)."""

    path: Path
    group: str
    family: str
    relation: str  # to the other clips of its group
    duration_s: float

    @property
    def is_held_out(self) -> bool:
        """Whether no training and no fit may see it."""
        return self.family in HELD_OUT


@dataclass(frozen=True, slots=True)
class Camera:
    """`has_cut`: one picture differs from the one before as a new shot does. `is_still`: the background stays."""

    has_cut: bool
    is_still: bool


def read_clips(folder: Path) -> list[DevClip]:
    """The clips of a folder by its manifest, in its order.

    Raises ValueError if the folder has no manifest with the columns clip, group, family, relation and duration_s.
    """
    try:
        with (folder / MANIFEST).open(newline="") as lines:
            return [
                DevClip(
                    folder / row["clip"], row["group"], row["family"], row["relation"] or "", float(row["duration_s"])
                )
                for row in csv.DictReader(lines)
            ]
    except FileNotFoundError:
        raise ValueError(f"{folder} has no manifest that names the clips' families") from None
    except KeyError as error:
        raise ValueError(f"the manifest of {folder} has no column {error.args[0]}") from error


def is_long(clip: DevClip) -> bool:
    """Whether two pieces of the clip are compared, if it has no cut."""
    return clip.duration_s >= LONG_ENOUGH_S


def watch_camera(path: Path) -> Camera:
    """How a clip was filmed, by small gray pictures five times a second. Raises DecodeError for a damaged file.

    A cut changes the picture by CUT_LEVELS on average, and CUT_TIMES as much as the other steps do. A camera stands
    if half of the picture changes by less than STILL_LEVELS within a second, most of the time.
    """
    with path.open("rb") as file:
        gray = np.stack([frame.image.mean(axis=-1) for frame in sample_frames(file, every_s=EVERY_S, size=SIZE)])
    steps = np.abs(np.diff(gray, axis=0)).mean(axis=(1, 2))
    second = round(1 / EVERY_S)
    changes = np.median(np.abs(gray[second:] - gray[:-second]), axis=(1, 2))
    return Camera(
        has_cut=bool(np.any((steps > CUT_LEVELS) & (steps > CUT_TIMES * np.median(steps)))),
        is_still=bool(np.median(changes) < STILL_LEVELS),
    )
