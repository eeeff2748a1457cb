"""A file or folder is replaced whole or not at all."""

import stat
from pathlib import Path

import pytest

from tca_model.files import replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("old")
    with replacing(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
        assert new.suffix == ".mp4"  # some writers choose their format by it
        assert new.stat().st_dev == tmp_path.stat().st_dev
    assert path.read_text() == "new"
    assert names(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existing", [True, False])
def test_an_error_leaves_the_old_file_or_none(tmp_path: Path, error: type[BaseException], existing: bool) -> None:
    path = tmp_path / "a.json"
    if existing:
        path.write_text("old")

    def write_half() -> None:
        with replacing(path) as new:
            new.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert names(tmp_path) == (["a.json"] if existing else [])
    assert not existing or path.read_text() == "old"


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.json"):
        pass
    assert (tmp_path / "a.json").read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_two_writers_of_one_path_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            assert not second.exists()
            second.write_text("second")
        assert first.read_text() == "first"
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert names(tmp_path) == ["a.json"]


def test_a_new_file_has_the_permissions_that_others_have(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with replacing(tmp_path / "a.json") as new:
        new.touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("other", "a.json")}
    assert len(modes) == 1


def test_a_name_as_long_as_the_file_system_allows_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".npz")
    with replacing(path) as new:
        new.write_text("new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("name", ["bundle", "replaced"])
def test_a_folder_is_replaced_with_all_that_was_in_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for content in ("old", "new"):
        with replacing(path) as new:
            new.mkdir()
            (new / content).touch()
    assert names(path) == ["new"]
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_folder_that_cannot_be_replaced_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "old").touch()
    rename = Path.rename

    def rename_only_the_old_one(source: Path, target: Path) -> Path:
        if (source / "new").exists():
            raise error
        return rename(source, target)

    def write_new() -> None:
        with replacing(path) as new:
            new.mkdir()
            (new / "new").touch()

    monkeypatch.setattr(Path, "rename", rename_only_the_old_one)
    with pytest.raises(error):
        write_new()
    assert names(path) == ["old"]
    assert names(tmp_path) == ["bundle"]
