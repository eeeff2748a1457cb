"""Training never sees the clips of the benchmark."""

import csv
from pathlib import Path

import pytest

from tca_model.data.held_out import DISTRACTORS, HELD_OUT, MANIFEST, ORIGINALS, families, without_held_out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with (tmp_path / MANIFEST).open("w", newline="") as file:
        csv.writer(file).writerows(
            [["clip", "family"], ["a.mp4", ORIGINALS[0]], ["b.mp4", "of nobody"], ["c.mp4", DISTRACTORS[-1]]]
        )
    return tmp_path


def test_held_out_families_are_left_out_and_counted(folder: Path) -> None:
    videos = [folder / name for name in ("a.mp4", "b.mp4", "c.mp4", "not in the manifest.mp4")]
    assert without_held_out(videos) == ([folder / "b.mp4", folder / "not in the manifest.mp4"], 2)


def test_a_folder_without_a_manifest_is_allowed(tmp_path: Path) -> None:
    assert without_held_out([tmp_path / "a.mp4"]) == ([tmp_path / "a.mp4"], 0)


def test_the_lists_name_each_family_once() -> None:
    assert len(HELD_OUT) == len(ORIGINALS) + len(DISTRACTORS) == 64


def test_the_dev_clips_contain_every_held_out_family(real_videos: Path) -> None:
    assert families(real_videos / "dev").keys() >= HELD_OUT


def test_clips_of_one_family_stay_together(real_videos: Path) -> None:
    clips = [clip for clips in families(real_videos / "dev").values() for clip in clips]
    allowed, refused = without_held_out(clips)
    assert len(allowed) + refused == len(clips)
    assert not {clip for family in HELD_OUT for clip in families(real_videos / "dev")[family]} & set(allowed)


def test_links_copied_folders_and_deeper_folders_are_held_out_too(folder: Path, tmp_path: Path) -> None:
    (folder / "a.mp4").write_bytes(b"held out")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "innocent.mp4").symlink_to(folder / "a.mp4")
    assert without_held_out([elsewhere / "innocent.mp4"]) == ([], 1)
    with (elsewhere / MANIFEST).open("w", newline="") as file:
        csv.writer(file).writerows([["clip", "family"], ["deep/b.mp4", ORIGINALS[1]]])
    assert without_held_out([elsewhere / "deep" / "b.mp4", elsewhere / "c.mp4"]) == ([elsewhere / "c.mp4"], 1)


def test_a_manifest_without_families_holds_nothing_out(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("clip,group\na.mp4,x\n")
    assert without_held_out([tmp_path / "a.mp4"]) == ([tmp_path / "a.mp4"], 0)
