"""Folders that are filled once and kept, completely or not at all."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def ensure_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder; created and filled by `fill` if it does not exist.

    It is filled under another name, so that an interrupted attempt never counts as complete, and two processes may do
    it at once.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(unfinished)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder
