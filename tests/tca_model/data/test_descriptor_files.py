"""Stored frame descriptors come back as written; damaged files are errors."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.types import VideoDescriptor

UNIT = VideoDescriptor(np.array([0.0, 1.0, 2.5]), np.eye(3, 4, dtype=np.float32))


@pytest.mark.parametrize("video", ["-W3x", "9/9_1_Y", "../up", "a b.mp4", "..", "é%2F", "UPPER"])
def test_any_id_becomes_one_file_in_the_folder(tmp_path: Path, video: str) -> None:
    stored = DescriptorFolder(tmp_path / "made")
    stored.write(video, UNIT, "abc")
    descriptor, version = stored.read(video)
    np.testing.assert_array_equal(descriptor.frames, UNIT.frames)
    np.testing.assert_array_equal(descriptor.timestamps_s, UNIT.timestamps_s)
    assert version == "abc"
    assert descriptor.frames.dtype == np.float32
    assert list(stored.videos()) == [video]
    assert [path.parent for path in tmp_path.rglob("*.npz")] == [stored.folder]


def test_writing_replaces_a_file_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    stored = DescriptorFolder(tmp_path)
    stored.write("a", UNIT, "one")
    stored.write("a", VideoDescriptor(np.zeros(0), np.zeros((0, 4), np.float32)), "two")
    assert (len(stored.read("a")[0]), stored.read("a")[1]) == (0, "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_missing_video_is_a_key_error(tmp_path: Path) -> None:
    stored = DescriptorFolder(tmp_path)
    assert "a" not in stored
    with pytest.raises(KeyError, match="a"):
        stored.read("a")


def test_errors_name_damaged_and_foreign_files(tmp_path: Path) -> None:
    stored = DescriptorFolder(tmp_path)
    stored.write("whole", UNIT, "abc")
    whole = stored.path("whole").read_bytes()
    trap = np.array([{"a": 1}], dtype=object)
    stored.path("cut").write_bytes(whole[: len(whole) // 2])
    stored.path("text").write_text("no npz")
    stored.path("nothing").write_bytes(b"")
    stored.path("pickled").write_bytes(pickle.dumps(UNIT.frames))
    with stored.path("array").open("wb") as file:
        np.save(file, UNIT.frames)
    np.savez(stored.path("foreign"), features=UNIT.frames)
    np.savez(stored.path("object"), frames=trap, timestamps_s=trap, model_version=trap)
    np.savez(stored.path("long"), frames=UNIT.frames * 2, timestamps_s=UNIT.timestamps_s, model_version="abc")
    for video in ("cut", "text", "nothing", "pickled", "array", "foreign", "object", "long"):
        with pytest.raises(ValueError, match=f"{video}.npz is (damaged or )?not a file of frame descriptors"):
            stored.read(video)
