"""Training pictures from images and videos: by work, read once, without held-out videos."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tca_model.data.held_out import MANIFEST, ORIGINALS
from tca_model.errors import TrainingError
from tca_model.synthetic.clips import write_clip
from tca_model.training.distributed import ALONE
from tca_model.training.pictures import SIDE_PX, gather


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, a broken one, two clips of 5 s, a broken one, and one of a held-out family."""
    folder = tmp_path_factory.mktemp("material")
    for number in range(2):
        Image.new("RGB", (40, 30), (number * 100, 50, 50)).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    for seed in range(2):
        write_clip(folder / f"clip{seed}.mp4", seed, duration_s=5, size=(64, 48), fps=5)
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "held.mp4").write_bytes((folder / "clip0.mp4").read_bytes())
    with (folder / MANIFEST).open("w", newline="") as file:
        csv.writer(file).writerows([["clip", "family"], ["held.mp4", ORIGINALS[3]], ["clip1.mp4", "mine"]])
    return folder


def test_frames_of_a_video_are_one_work_and_held_out_videos_are_left_out(folder: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    pictures = gather([folder], tmp_path, ALONE, lambda done, total: steps.append((done, total)))
    assert pictures.works.tolist() == [0, 1, 2, 2, 2, 3, 3, 3]  # every 2 s of 5 s
    assert pictures.pixels.shape == (8, SIDE_PX, SIDE_PX, 3)
    assert (pictures.unreadable, pictures.held_out) == (2, 1)
    assert steps[-1] == (6, 6)
    np.testing.assert_array_equal(pictures.pixels[1][0, 0], [100, 50, 50])


def test_a_resumed_run_reads_nothing_again(folder: Path, tmp_path: Path) -> None:
    first = gather([folder], tmp_path, ALONE, lambda *_: None)

    def never(*_: int) -> None:
        raise AssertionError("read again")

    again = gather([folder], tmp_path, ALONE, never)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (again.works.tolist(), again.unreadable, again.held_out) == (first.works.tolist(), 2, 1)


def test_a_run_on_other_pictures_is_rejected(folder: Path, tmp_path: Path) -> None:
    gather([folder], tmp_path / "run", ALONE, lambda *_: None)
    (tmp_path / "other").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "other" / "a.png")
    with pytest.raises(TrainingError, match="holds a run on other pictures"):
        gather([tmp_path / "other"], tmp_path / "run", ALONE, lambda *_: None)


def test_folders_without_pictures_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no folder"):
        gather([tmp_path / "nowhere"], tmp_path, ALONE, lambda *_: None)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("words")
    with pytest.raises(TrainingError, match=r"no images .* and no videos below"):
        gather([tmp_path / "notes"], tmp_path, ALONE, lambda *_: None)
    (tmp_path / "notes" / "a.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match="none of 1 images and 0 videos could be read"):
        gather([tmp_path / "notes"], tmp_path / "run", ALONE, lambda *_: None)
