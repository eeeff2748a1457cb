"""Which files a command line names, and their ids."""

import os
from pathlib import Path

import pytest

from services.cli.files import VideoFile, asset_id_of, find_videos
from services.contracts.errors import UsageError
from tests.clips import steady, write_clip


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_are_searched_for_videos_and_named_files_are_kept(tmp_path: Path) -> None:
    touch(tmp_path, "in/b.MKV", "in/a.mp4", "in/deep/c.webm", "in/notes.txt", "in/photo.jpg", "odd.bin")
    found, empty_folders = find_videos([tmp_path / "in", tmp_path / "odd.bin"])

    names = [Path(file.path).relative_to(tmp_path).as_posix() for file in found]
    assert names == ["in/a.mp4", "in/b.MKV", "in/deep/c.webm", "odd.bin"]
    assert empty_folders == []


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "mpeg4"),
        (".mov", "mpeg4"),
        (".mkv", "mpeg4"),
        (".webm", "libvpx"),
        (".avi", "mpeg4"),
        (".flv", "flv"),
        (".ogv", "libvpx"),
        (".ts", "mpeg2video"),
        (".m2ts", "mpeg2video"),
        (".mpg", "mpeg2video"),
        (".vob", "mpeg2video"),
        (".wmv", "wmv2"),
        (".gif", "gif"),
    ],
)
def test_a_video_without_a_suffix_is_found_by_how_it_begins(tmp_path: Path, suffix: str, codec: str) -> None:
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    write_clip(tmp_path / f"a{suffix}", steady(1, 25), codec=codec, pix_fmt=pix_fmt).rename(tmp_path / "a")
    found, _ = find_videos([tmp_path])
    assert [Path(file.path).name for file in found] == ["a"]


def test_other_files_without_a_suffix_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "empty")
    (tmp_path / "README").write_text("Gone are the films, the moov and the ftyp")
    (tmp_path / "nonsense").write_bytes(bytes(range(256)))
    (tmp_path / "sound").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt ")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    assert find_videos([tmp_path]) == ([], [str(tmp_path)])


def test_what_macos_keeps_beside_a_video_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "._a.mp4", "deep/._b.mov")
    found, _ = find_videos([tmp_path])
    assert [Path(file.path).name for file in found] == ["a.mp4"]
    named, _ = find_videos([tmp_path / "._a.mp4"])
    assert len(named) == 1, "a file that is named itself is tried"


def test_a_file_named_twice_is_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    found, _ = find_videos([tmp_path, tmp_path / "a.mp4", tmp_path / "." / "a.mp4"])
    assert len(found) == 1


def test_a_link_is_a_file_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    found, _ = find_videos([tmp_path])
    assert len({file.asset_id for file in found}) == 2


def test_a_folder_without_videos_is_reported(tmp_path: Path) -> None:
    touch(tmp_path, "texts/readme.txt")
    assert find_videos([tmp_path / "texts"]) == ([], [str(tmp_path / "texts")])


def test_a_path_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file or folder .*gone\.mp4"):
        find_videos([tmp_path / "gone.mp4"])


def test_paths_stay_as_written_and_ids_do_not_depend_on_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "clips/a.mp4")
    monkeypatch.chdir(tmp_path)
    (relative,), _ = find_videos([Path("clips")])
    (absolute,), _ = find_videos([tmp_path / "clips"])

    assert relative.path == os.path.join("clips", "a.mp4")  # noqa: PTH118 - a string is meant
    assert absolute.path == str(tmp_path / "clips" / "a.mp4")
    assert relative.asset_id == absolute.asset_id == asset_id_of(str(tmp_path / "clips" / "a.mp4"))


def test_names_that_are_not_utf8_have_an_id() -> None:
    strange = VideoFile(os.fsdecode(b"/clips/\xff\xfe.mp4"))
    assert strange.asset_id != VideoFile("/clips/other.mp4").asset_id
