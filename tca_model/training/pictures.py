"""Training pictures: images, and frames of videos, as one memory-mapped array beside the run.

A picture has the number of the work it shows: frames of one video are not each other's negatives.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tca_model.data.held_out import without_held_out
from tca_model.errors import DecodeError, TrainingError
from tca_model.files import replacing
from tca_model.training.distributed import Processes
from tca_model.training.images import SUFFIXES, read_images
from tca_model.video.decode import sample_frames

SIDE_PX = 192  # what is cut out of it is larger than an input of 128 or 160 px, mostly
FRAME_EVERY_S = 2.0
VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v"})
BATCH = 64
PIXELS, WORKS = "pictures.raw", "pictures.json"  # the second is written last: with it, the first is whole


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    pixels: NDArray[np.uint8]  # (N, SIDE_PX, SIDE_PX, 3), memory-mapped
    works: NDArray[np.int64]  # (N,)
    unreadable: int
    held_out: int  # videos that the benchmark keeps for itself

    def __len__(self) -> int:
        return len(self.pixels)


def gather(folders: Sequence[Path], run: Path, processes: Processes, advance: Callable[[int, int], None]) -> Pictures:
    """All pictures below the folders, read once and kept in the run's folder: a resumed run reads nothing else.

    Raises TrainingError when a folder is missing, when there is no picture, or when the run's folder holds others.
    """
    images, videos, held_out = _find(folders)
    listed = "\n".join(f"{path} {path.stat().st_size}" for path in [*images, *videos])
    stated = {"images": len(images), "videos": len(videos), "files": sha256(listed.encode()).hexdigest()}
    if processes.first and not (run / WORKS).exists():
        shown, unreadable = _keep(images, videos, run, advance)
        with replacing(run / WORKS) as new:
            new.write_text(json.dumps({**stated, "works": shown, "unreadable": unreadable}))
    processes.wait()
    kept = json.loads((run / WORKS).read_text())
    if {key: kept.get(key) for key in stated} != stated:
        raise TrainingError(f"{run} holds a run on other pictures: use another folder, or remove it to begin anew")
    works = np.array(kept["works"])
    pixels = np.memmap(run / PIXELS, np.uint8, "r", shape=(len(works), SIDE_PX, SIDE_PX, 3))
    return Pictures(pixels, works, kept["unreadable"], held_out)


def _keep(
    images: Sequence[Path], videos: Sequence[Path], run: Path, advance: Callable[[int, int], None]
) -> tuple[list[int], int]:
    """Write the pixels of all pictures, one after the other; their works, and how many files could not be read."""
    run.mkdir(parents=True, exist_ok=True)
    works: list[int] = []
    unreadable = done = 0
    with (run / PIXELS).open("wb") as file:
        for pixels, broken, sources, one_work in _read(images, videos):
            first = works[-1] + 1 if works else 0
            works += [first] * len(pixels) if one_work else range(first, first + len(pixels))
            pixels.tofile(file)
            unreadable += broken
            done += sources
            advance(done, len(images) + len(videos))
    if not works:
        raise TrainingError(
            f"none of {len(images)} images and {len(videos)} videos could be read (what the benchmark holds out is not "
            "among them)"
        )
    return works, unreadable


def _find(folders: Sequence[Path]) -> tuple[list[Path], list[Path], int]:
    images: list[Path] = []
    videos: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise TrainingError(f"no folder {folder}")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found = [path for path in files if path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES]
        if not found:
            raise TrainingError(f"no images ({', '.join(sorted(SUFFIXES))}) and no videos below {folder}")
        images += [path for path in found if path.suffix.lower() in SUFFIXES]
        videos += [path for path in found if path.suffix.lower() in VIDEO_SUFFIXES]
    allowed, held_out = without_held_out(videos)
    return images, allowed, held_out


def _read(images: Sequence[Path], videos: Sequence[Path]) -> Iterator[tuple[NDArray[np.uint8], int, int, bool]]:
    """Pictures, how many of their files could not be read, of how many files they are, whether they show one work."""
    for number, (pixels, broken) in enumerate(read_images(images, SIDE_PX, BATCH)):
        yield pixels, broken, len(images[number * BATCH : (number + 1) * BATCH]), False
    for video in videos:
        frames = []
        try:
            with video.open("rb") as file:
                frames = [
                    frame.image
                    for frame in sample_frames(file, every_s=FRAME_EVERY_S, size=(SIDE_PX, SIDE_PX), remove_bars=True)
                ]
        except (DecodeError, OSError):
            pass  # counted: one broken file among thousands must not end a training
        yield np.array(frames, np.uint8).reshape(-1, SIDE_PX, SIDE_PX, 3), int(not frames), 1, True
