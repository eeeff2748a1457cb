"""Images for training: found in order, damaged ones counted."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tca_model.training.images import find_images, read_images
from tests.tca_model.training.cases import PICTURES, write_pictures


def test_images_are_found_sorted_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    found = find_images(write_pictures(tmp_path))
    assert len(found) == PICTURES + 1
    assert found == [*sorted(found[:20]), *sorted(found[20:])]
    assert any(path.suffix == ".PNG" for path in found)


def test_damaged_files_of_every_kind_are_counted(tmp_path: Path) -> None:
    """Truncated, or with one byte changed: the error from Pillow depends on where."""
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    for suffix in ("png", "jpg", "webp", "bmp"):
        whole = tmp_path / f"whole.{suffix}"
        picture.save(whole)
        content = whole.read_bytes()
        for index in range(60):
            damaged = bytearray(content)
            for place in rng.integers(0, min(len(content), 64), 3):
                damaged[place] = rng.integers(0, 256)
            (tmp_path / f"{index:02}.{suffix}").write_bytes(damaged if index % 4 else content[: index + 1])
    paths = find_images([tmp_path])
    with warnings.catch_warnings(action="ignore"):  # Pillow warns about errors that it ignores
        read = [(len(images), unreadable) for images, unreadable in read_images(paths, 8, 50)]
    assert [sum(batch) for batch in read] == [50, 50, 50, 50, 44]
    assert sum(good for good, _ in read) >= 4


@pytest.mark.parametrize("length_at", [8, 33])  # of the header and of the pixels: ValueError and SyntaxError in Pillow
def test_a_png_with_a_damaged_chunk_is_unreadable(tmp_path: Path, length_at: int) -> None:
    path = tmp_path / "damaged.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[length_at : length_at + 4] = (4).to_bytes(4, "big")
    path.write_bytes(content)
    ((images, unreadable),) = read_images([path], 8, 4)
    assert (images.shape, unreadable) == ((0, 8, 8, 3), 1)
