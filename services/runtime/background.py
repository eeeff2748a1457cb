"""Work beside the loop of a service, on threads of its own: what may wait for a server that does not answer."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from services.contracts.errors import CopydetectError

_END_S = 1.0  # for a call that is about to return; a longer one is abandoned with the process

log = structlog.get_logger(__name__)


@contextmanager
def repeat(every_s: float, work: Callable[[], None], name: str) -> Iterator[None]:
    """Call `work` at once and then every `every_s` seconds on a thread, until the context ends.

    An error of this project is logged when its text is a new one, and a defect with its traceback; both end nothing.
    """
    is_over = threading.Event()

    def run() -> None:
        failure: str | None = None
        while not is_over.is_set():
            try:
                work()
                failure = None
            except CopydetectError as error:
                if str(error) != failure and not is_over.is_set():
                    log.warning("background work failed", work=name, reason=str(error))
                failure = str(error)
            except Exception as error:
                if not is_over.is_set():  # its clients may be closed by then
                    log.error("a defect of this program", work=name, exc_info=error)
            is_over.wait(every_s)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(_END_S)
