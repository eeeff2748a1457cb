"""Reads images in folders, squashed to the input size, in batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


def find_images(folders: Sequence[Path]) -> list[Path]:
    """All images below the folders, sorted. Raises FileNotFoundError if a folder is missing or has none."""
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder}")
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not images:
            raise FileNotFoundError(f"no images ({', '.join(sorted(SUFFIXES))}) below {folder}")
        found += images
    return found


def read_images(paths: Sequence[Path], size_px: int, batch: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Batches of RGB images (N, size, size, 3), each with the number of its unreadable files."""
    for start in range(0, len(paths), batch):
        some = paths[start : start + batch]
        images = [image for path in some if (image := _read(path, size_px)) is not None]
        yield np.array(images, dtype=np.uint8).reshape(-1, size_px, size_px, 3), len(some) - len(images)


def _read(path: Path, size_px: int) -> NDArray[np.uint8] | None:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize((size_px, size_px), Image.Resampling.BICUBIC))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError, ValueError):
        # Pillow raises the last two for some damaged PNG chunks.
        return None
