"""Video files named on the command line, identified by their absolute paths."""

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.contracts.errors import UsageError
from tca_model.video import containers

APPLE_DOUBLE = "._"  # before a file's name: another file, in which macOS keeps what other file systems cannot


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file; two paths to the same content are two files, which copy each other."""

    path: str  # as the user wrote it

    @property
    def uri(self) -> str:
        return os.path.abspath(self.path)  # noqa: PTH100 - resolve() would make one file of two links

    @property
    def asset_id(self) -> str:
        return asset_id_of(self.uri)


def asset_id_of(uri: str) -> str:
    """The id under which a local file is indexed."""
    return hashlib.blake2b(os.fsencode(uri), digest_size=16).hexdigest()


def find_videos(paths: Sequence[Path]) -> tuple[list[VideoFile], list[str]]:
    """All video files that are named or lie below the named folders, each once and in order, and the empty folders.

    Raises UsageError for a path that does not exist.
    """
    found: dict[str, VideoFile] = {}
    empty_folders: list[str] = []
    for path in paths:
        if path.is_dir():
            inside = [VideoFile(str(file)) for file in _walk(path)]
            if not inside:
                empty_folders.append(str(path))
        else:
            check_exists(path)
            inside = [VideoFile(str(path))]
        for file in inside:
            found.setdefault(file.uri, file)
    return list(found.values()), empty_folders


def check_exists(path: Path) -> None:
    """Raise UsageError if nothing is at the path. A link that leads nowhere is there, and cannot be read."""
    if not os.path.lexists(path):
        raise UsageError(f"there is no file or folder {path}")


def _walk(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent) / name
            if not name.startswith(APPLE_DOUBLE) and _is_video(path):
                yield path


def _is_video(path: Path) -> bool:
    """Whether a file in a folder is a video: by its suffix, or by how it begins if it has none."""
    if path.suffix:
        return path.suffix.lower() in containers.SUFFIXES
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not wait for its writer
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return is_regular and containers.looks_like_video(file.read(containers.HEAD_BYTES))
