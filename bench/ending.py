"""How a bench that keeps what it made ends: with figures, with a reason, or interrupted."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.console import INTERRUPTED, error_console
from services.contracts.errors import CopydetectError
from tca_model.errors import BundleError, DecodeError


@contextmanager
def ending_with_reason(work: Path, *more: type[Exception]) -> Iterator[None]:
    """End the process with a sentence if bundle, options or files are at fault, or on Ctrl-C.

    `work`: where what was made is kept. `more`: further errors whose text says enough.
    """
    explained: tuple[type[Exception], ...] = (BundleError, CopydetectError, DecodeError, *more)
    try:
        yield
    except explained as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or work}: {error.strerror or error}")
    except KeyboardInterrupt:
        kept = f"interrupted; what was made is kept in {work}: run the same command to go on"
        error_console.print(kept, soft_wrap=True)
        sys.exit(INTERRUPTED)
