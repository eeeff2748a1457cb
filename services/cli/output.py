"""Files that a command writes its results to; `-` is standard output."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.cli.errors import CommandFailed
from services.contracts.errors import UsageError
from tca_model.files import replacing


def is_standard_output(path: Path | None) -> bool:
    """Whether the results go to standard output, which nothing else may then be written to."""
    return path is not None and str(path) == "-"


@contextmanager
def open_output(path: Path | None, option: str) -> Iterator[Callable[[Iterable[str]], object]]:
    """Yield a function that writes pieces of text to `path`; None: to nowhere.

    Whether `path` can be written is checked at once, but it is replaced only when the block ends well. An existing file
    keeps its mode, and a link its target. Raises UsageError with the option's name if `path` cannot be written, and
    CommandFailed if writing fails later.
    """
    if path is None:
        yield lambda _: None
    elif is_standard_output(path):
        yield sys.stdout.writelines
    else:
        path = path.resolve()
        with _open(path, option) as beside:

            def write(pieces: Iterable[str]) -> None:
                try:
                    with beside.open("w", encoding="utf-8") as file:
                        file.writelines(pieces)
                except OSError as error:
                    raise CommandFailed(_cannot_write(option, path, error)) from error

            yield write


@contextmanager
def _open(path: Path, option: str) -> Iterator[Path]:
    """Yield an empty file beside `path`, which becomes `path` when the block ends well."""
    with ExitStack() as stack:
        try:
            _check(path)
            beside = stack.enter_context(replacing(path))
            beside.touch()
            if path.exists():
                beside.chmod(stat.S_IMODE(path.stat().st_mode))
        except OSError as error:
            raise UsageError(_cannot_write(option, path, error)) from error
        yield beside


def _check(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "neither a regular file nor - (standard output)")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _cannot_write(option: str, path: Path, error: OSError) -> str:
    return f"cannot write {option} {path}: {error.strerror}"


def write_bytes(path: Path, option: str, data: bytes) -> None:
    """Write the bytes to `path`, whole or not at all. Raises errors as `open_output`."""
    if is_standard_output(path):
        sys.stdout.buffer.write(data)
        return
    path = path.resolve()
    with _open(path, option) as beside:
        try:
            beside.write_bytes(data)
        except OSError as error:
            raise CommandFailed(_cannot_write(option, path, error)) from error
