"""Training pictures: images and video frames, in one memory-mapped array in the run's folder.

Each picture has the number of the work that it shows: frames of one video are not each other's negatives.
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
from tca_model.video.containers import SUFFIXES as VIDEO_SUFFIXES
from tca_model.video.decode import sample_frames

SIDE_PX = 192  # crops of it are mostly larger than an input of 128 or 160 px
FRAME_EVERY_S = 2.0
BATCH = 64
PIXELS, WORKS = "pictures.raw", "pictures.json"  # the second is written last: if it exists, the first is complete


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    pixels: NDArray[np.uint8]  # (N, SIDE_PX, SIDE_PX, 3), memory-mapped
    works: NDArray[np.int64]  # (N,)
    unreadable: int
    held_out: int  # videos that are reserved for the benchmark

    def __len__(self) -> int:
        return len(self.pixels)


def gather(folders: Sequence[Path], run: Path, processes: Processes, advance: Callable[[int, int], None]) -> Pictures:
    """All pictures below the folders, read once and kept in the run's folder for a resumed run.

    `advance(done, total)` gets numbers of files. Raises TrainingError if a folder is missing, if there is no picture,
    or if the run's folder has other pictures.
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
        raise TrainingError(f"{run} holds a run on other pictures: use another folder, or remove it to start again")
    works = np.array(kept["works"])
    pixels = np.memmap(run / PIXELS, np.uint8, "r", shape=(len(works), SIDE_PX, SIDE_PX, 3))
    return Pictures(pixels, works, kept["unreadable"], held_out)


def _keep(
    images: Sequence[Path], videos: Sequence[Path], run: Path, advance: Callable[[int, int], None]
) -> tuple[list[int], int]:
    """Write the pixels of all pictures; return their works and the number of unreadable files."""
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
            f"none of {len(images)} images and {len(videos)} videos could be read (held-out videos are not counted)"
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
    """Batches: the pictures, the number of unreadable files, the number of files, whether they show one work."""
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
            pass  # counted below: one broken file among thousands must not end a training
        yield np.array(frames, np.uint8).reshape(-1, SIDE_PX, SIDE_PX, 3), int(not frames), 1, True
