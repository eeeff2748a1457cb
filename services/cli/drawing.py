"""What every command that draws has in common: it knows before it works whether it can."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.contracts.errors import UsageError


def check_drawing(path: Path, *modules: str) -> None:
    """Raise UsageError when a module of the extra `viz` is missing or the picture's folder is."""
    from importlib.util import find_spec

    for module in ("matplotlib", *modules):
        if find_spec(module) is None:
            raise UsageError(f"drawing needs {module}: pip install 'copydetect[viz]'")
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"cannot write {path}: " + ("it is a folder" if path.is_dir() else f"no folder {path.parent}"))


@contextmanager
def drawing(path: Path) -> Iterator[None]:
    """Around the drawing itself: what the disk refuses is a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
