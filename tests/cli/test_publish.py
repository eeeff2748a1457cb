"""`copydetect publish` makes ids that people recognise, and refuses what no service would accept."""

from pathlib import Path

import pytest

from services.cli.publish import _event, _find_uris, make_id
from services.contracts.errors import UsageError
from services.contracts.events import Role


def test_an_id_comes_from_the_name_and_stays_the_same() -> None:
    assert make_id("/videos/My holiday (1).mp4").startswith("My-holiday-1-")
    assert make_id("/a/clip.mp4") == make_id("/a/clip.mp4")
    assert make_id("/a/clip.mp4") != make_id("/b/clip.mp4")
    assert make_id("https://example.org/clip.mp4?token=secret").startswith("clip-")


@pytest.mark.parametrize("uri", ["/videos/ä ö.mp4", "/videos/" + "x" * 200 + ".mp4", "/videos/'\".mp4", "/-"])
def test_every_name_gives_an_id_that_events_accept(uri: str) -> None:
    assert _event(uri, make_id(uri), "default", Role.UPLOAD).asset_id == make_id(uri)


def test_an_id_that_events_refuse_has_an_error_in_words() -> None:
    with pytest.raises(UsageError, match="letters, digits"):
        _event("/a.mp4", "a b", "default", Role.UPLOAD)


def test_folders_are_searched_and_addresses_are_kept(tmp_path: Path) -> None:
    (tmp_path / "one.mp4").touch()
    (tmp_path / "notes.txt").touch()
    assert _find_uris([str(tmp_path), "https://example.org/a"]) == [str(tmp_path / "one.mp4"), "https://example.org/a"]


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no videos"):
        _find_uris([str(tmp_path)])
