"""Video files named on the command line; each is known by its absolute path."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.contracts.errors import UsageError

# What a folder is searched for; a file that is named itself is tried whatever it is called.
SUFFIXES = frozenset(
    {".3g2", ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".ogg", ".ogm", ".ogv", ".ts", ".webm", ".wmv"}
)


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file as the user wrote it; two paths to one content are two files, which copy each other."""

    given: str

    @property
    def uri(self) -> str:
        return os.path.abspath(self.given)  # noqa: PTH100 - resolve() would make one file of two links

    @property
    def asset_id(self) -> str:
        return asset_id_of(self.uri)


def asset_id_of(uri: str) -> str:
    """The id under which a local file is indexed."""
    return hashlib.blake2b(os.fsencode(uri), digest_size=16).hexdigest()


def find_videos(paths: Sequence[Path]) -> tuple[list[VideoFile], list[str]]:
    """All video files named or in the folders named, each once and in order, and the folders that hold none.

    Raises UsageError for a path that is neither.
    """
    found: dict[str, VideoFile] = {}
    barren: list[str] = []
    for path in paths:
        if path.is_dir():
            inside = [VideoFile(str(file)) for file in _below(path)]
            if not inside:
                barren.append(str(path))
        elif os.path.lexists(path):
            inside = [VideoFile(str(path))]
        else:
            raise UsageError(f"there is no file or folder {path}")
        for file in inside:
            found.setdefault(file.uri, file)
    return list(found.values()), barren


def _below(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent) / name
