"""Local files are opened safely, refused with a reason, and stamped by their content."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import STAMPED_BYTES, FetchPolicy, Media

MAX_BYTES = 10_000_000
ANYWHERE = FetchPolicy(roots=None, max_bytes=MAX_BYTES)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a film & more #1.mp4"
    path.write_bytes(bytes(range(256)) * 1000)  # longer than both stamped ends together
    return path


def stamp(uri: str | Path) -> str:
    media = fetch(str(uri), ANYWHERE)
    media.file.close()
    return media.stamp


def refusal(uri: str | Path, policy: FetchPolicy = ANYWHERE) -> str:
    with pytest.raises(InvalidMessage) as refused:
        fetch(str(uri), policy)
    assert refused.value.stage == "fetch"
    return refused.value.reason


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def patch(path: Path, position: int) -> None:
    """Change one byte there, but neither size nor time."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(position)
        [old] = file.read(1)
        file.seek(position)
        file.write(bytes([old ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_path_and_its_uris_open_the_whole_file_at_its_start(video: Path) -> None:
    for uri in (str(video), video.as_uri(), video.as_uri().replace("file://", "file://localhost")):
        with fetch(uri, ANYWHERE).file as file:
            assert file.tell() == 0
            assert file.read() == video.read_bytes()


@pytest.mark.parametrize("uri", ["http://host/a.mp4", "https://[::1/a.mp4", "s3://bucket/a", "file://host/a", "a://b"])
def test_a_uri_that_is_not_a_local_file_is_refused_and_named_in_the_reason(uri: str) -> None:
    assert uri in refusal(uri)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.mp4") == f"cannot open {tmp_path / 'none.mp4'}: No such file or directory"


@pytest.mark.parametrize("uri", ["/videos/a\0.mp4", "file:///videos/a%00.mp4"])
def test_a_name_with_a_null_byte_is_refused(uri: str) -> None:
    assert "null byte" in refusal(uri)


def test_a_name_that_is_too_long_is_refused() -> None:
    assert "File name too long" in refusal("/" + "a" * 4000)


def test_a_folder_is_refused_and_not_left_open(tmp_path: Path) -> None:
    before = open_descriptors()
    assert "Is a directory" in refusal(tmp_path)
    assert "Is a directory" in refusal(tmp_path.as_uri())
    assert open_descriptors() == before


@pytest.mark.timeout(10)
def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = open_descriptors()
    assert refusal(tmp_path / "pipe") == "not a regular file"
    assert open_descriptors() == before


def test_a_device_is_refused() -> None:
    assert refusal("/dev/zero") == "not a regular file"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert refusal(tmp_path / "empty") == "the file is empty"


def test_a_file_above_the_limit_is_refused_with_both_sizes(video: Path) -> None:
    assert refusal(video, replace(ANYWHERE, max_bytes=255_999)) == "256000 bytes exceed the limit of 255999"
    media = fetch(str(video), replace(ANYWHERE, max_bytes=256_000))
    assert media.size_bytes == 256_000
    media.file.close()


def test_an_unreadable_file_is_refused(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    assert "Permission denied" in refusal(video)


def test_an_error_of_the_disk_is_refused_and_the_file_closed(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> os.stat_result:
        raise OSError(5, "Input/output error")

    before = open_descriptors()
    with monkeypatch.context() as patched:
        patched.setattr("services.ingest.fetch.local.os.fstat", fail)
        assert "Input/output error" in refusal(video)
    assert open_descriptors() == before


def test_the_stamp_of_unchanged_content_is_the_same(video: Path) -> None:
    assert stamp(video) == stamp(video)


@pytest.mark.parametrize("position", [0, STAMPED_BYTES - 1, 256_000 - STAMPED_BYTES, 255_999])
def test_the_stamp_differs_for_other_content_of_equal_size_and_time(video: Path, position: int) -> None:
    before = stamp(video)
    patch(video, position)
    assert stamp(video) != before


def test_the_stamp_differs_for_another_size_time_or_uri(video: Path) -> None:
    stamps = [stamp(video), stamp(video.as_uri())]
    os.utime(video, ns=(1, 1))
    stamps.append(stamp(video))
    with video.open("ab") as file:
        file.write(b"\0")
    os.utime(video, ns=(1, 1))
    stamps.append(stamp(video))
    assert len(set(stamps)) == 4


def test_the_stamp_of_a_short_file_covers_all_of_it(tmp_path: Path) -> None:
    video = tmp_path / "short.mp4"
    video.write_bytes(b"abc")
    before = stamp(video)
    patch(video, 1)
    assert stamp(video) != before


def test_the_stamp_equals_the_one_in_existing_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video = Path("a.mp4")
    video.write_bytes(b"abc" * 100_000)
    os.utime(video, ns=(0, 1_700_000_000_123_456_789))
    assert stamp(video) == "179bd188584e293919326bbb115b5010"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder whose files may be fetched, next to a folder whose files may not."""
    (tmp_path / "media" / "inner").mkdir(parents=True)
    (tmp_path / "media" / "inner" / "a.mp4").write_bytes(b"film")
    (tmp_path / "media2").mkdir()
    (tmp_path / "media2" / "secret").write_bytes(b"secret")
    return tmp_path / "media"


def within(*roots: Path) -> FetchPolicy:
    return FetchPolicy(roots=roots, max_bytes=MAX_BYTES)


def content(media: Media) -> bytes:
    with media.file as file:
        return file.read()


def test_files_in_a_root_are_fetched_however_they_are_named(root: Path) -> None:
    video = root / "inner" / "a.mp4"
    (root / "link.mp4").symlink_to("inner/a.mp4")
    (root.parent / "alias").symlink_to("media")
    policy = within(root.parent / "elsewhere", root)
    for name in (
        video,
        root / "link.mp4",
        root / "inner" / ".." / "inner" / "a.mp4",
        root.parent / "alias/inner/a.mp4",
    ):
        assert content(fetch(str(name), policy)) == b"film"
    assert content(fetch(video.as_uri(), policy)) == b"film"
    assert content(fetch(str(video), within(root.parent / "alias"))) == b"film", "a root may be a link itself"


@pytest.mark.parametrize("name", ["../media2/secret", "inner/../../media2/secret", "link", "folder/secret", "circle"])
def test_files_outside_the_roots_are_refused(root: Path, name: str) -> None:
    (root / "link").symlink_to("../media2/secret")
    (root / "folder").symlink_to("../media2")
    (root / "circle").symlink_to("circle2")
    (root / "circle2").symlink_to("circle")
    before = open_descriptors()
    for uri in (str(root / name), f"file://{root}/{name}", f"file://{root}/{name.replace('.', '%2e')}"):
        if name == "circle":
            assert "symbolic links" in refusal(uri, within(root))
        else:
            assert "COPYDETECT_FETCH_ROOTS" in refusal(uri, within(root))
    assert open_descriptors() == before


def test_a_refusal_does_not_reveal_whether_a_file_outside_the_roots_exists(root: Path) -> None:
    there, nowhere = (root.parent / name for name in ("media2/secret", "none"))
    assert refusal(there, within(root)).replace(str(there), "") == refusal(nowhere, within(root)).replace(
        str(nowhere), ""
    )


def test_without_roots_no_local_file_is_fetched(root: Path) -> None:
    assert "COPYDETECT_FETCH_ROOTS" in refusal(root / "inner" / "a.mp4", within())


def test_a_folder_that_becomes_a_link_while_a_file_is_opened_does_not_lead_outside_the_roots(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "inner" / "secret").write_bytes(b"harmless")
    opened = os.open

    def late(path: str, flags: int) -> int:
        (root / "inner").rename(root / "was")
        (root / "inner").symlink_to("../media2")
        return opened(path, flags)

    before = open_descriptors()
    with monkeypatch.context() as patched:
        patched.setattr("services.ingest.fetch.local.os.open", late)
        assert "COPYDETECT_FETCH_ROOTS" in refusal(root / "inner" / "secret", within(root))
    assert open_descriptors() == before
