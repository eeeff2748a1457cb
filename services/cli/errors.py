"""From the errors of the library to those that end a command: exit code 2 for wrong usage, 1 for any other failure."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from services.contracts.errors import CopydetectError, UsageError
from tca_model.errors import BundleError, DecodeError, TrainingError

FAILED = 1
WRONG_USAGE = 2

_IDS = {"asset_id": "asset id", "tenant": "tenant"}


class CommandFailed(CopydetectError):
    """Something went wrong although the command line was right: a broken file, a full disk."""


def exit_code(error: CopydetectError | BundleError) -> int:
    """The exit code of a command that ended with this error."""
    # A bundle that is not there is a wrong name; one that cannot be read has the reader's error as its cause.
    is_wrong_name = isinstance(error, BundleError) and error.__cause__ is None
    return WRONG_USAGE if is_wrong_name or isinstance(error, UsageError) else FAILED


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raise UsageError for missing paths and refused values, CommandFailed for what cannot be read or written."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, TrainingError) as error:
        raise UsageError(_text(error)) from error
    except (OSError, DecodeError) as error:
        raise CommandFailed(str(error)) from error


def explain_values(error: ValidationError) -> str:
    """What is wrong with the values of an event, in words for who typed them."""
    return "; ".join(
        f"{one['input']!r} is no {_IDS[str(one['loc'][0])]}: it consists of 1 to 128 letters, digits, '_', '.' and '-'"
        if one["loc"] and str(one["loc"][0]) in _IDS
        else ": ".join([*map(str, one["loc"]), one["msg"].removeprefix("Value error, ")])
        for one in error.errors()
    )


def _text(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    parts = [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
    return "; ".join(f"{place}: {message}" if place else message for place, message in parts)
