"""Files and folders that are replaced whole or not at all, whatever stops the program that writes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

# Short, because the name of `path` may already be as long as the file system allows.
_PREFIX = ".partial-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, moved onto it when the block ends well and removed when it raises."""
    # A folder of its own: the temporary path keeps the name with its suffix, which some writers go by, gets the
    # permissions of any new file, and meets no other process that writes the same path.
    with TemporaryDirectory(dir=path.parent, prefix=_PREFIX) as folder:
        new = Path(folder) / path.name
        yield new
        if new.is_dir():
            _replace_folder(path, new)
        else:
            new.replace(path)


def _replace_folder(path: Path, new: Path) -> None:
    """Put the folder `new` at `path`. A folder that is already there must be moved away first: only files are replaced
    in one step."""
    with TemporaryDirectory(dir=path.parent, prefix=_PREFIX) as folder:
        old = Path(folder) / "replaced"
        try:
            if path.exists():
                path.rename(old)
            new.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise
