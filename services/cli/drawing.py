"""What commands that draw share: they check before the work that the picture can be drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.distribution import DISTRIBUTION
from services.cli.errors import CommandFailed
from services.contracts.errors import UsageError


def check_drawing(path: Path, *modules: str) -> None:
    """Raise UsageError if the picture's folder is missing, or a module of the extra `viz`."""
    from importlib.util import find_spec

    for module in ("matplotlib", *modules):
        if find_spec(module) is None:
            raise UsageError(f"drawing needs {module}: pip install '{DISTRIBUTION}[viz]'")
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"cannot write {path}: " + ("it is a folder" if path.is_dir() else f"no folder {path.parent}"))


@contextmanager
def drawing(path: Path) -> Iterator[None]:
    """Around the drawing itself. Raises CommandFailed if the picture cannot be written."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from error
