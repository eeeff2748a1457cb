"""The three fates of an error.

CopydetectError
    InvalidMessage     can never succeed: dead letter, with the reason
    TransientError     may succeed later: retried with backoff, never dead-lettered
        DependencyDown a backend does not answer: consumption pauses until it does
    UsageError         the operator's mistake (settings, bundle, paths): refuse to start, say what to do
    Fenced             another process took this one's place: exit, a supervisor starts it again

Anything else is a defect and crashes the process with its offsets uncommitted.
Client exceptions are translated to these at the door (services.backends), nowhere else.
"""


class CopydetectError(Exception):
    """Base of every error that this project raises on purpose."""


class InvalidMessage(CopydetectError):
    """Input that can never succeed; `stage` says where it failed."""

    def __init__(self, reason: str, *, stage: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.stage = stage


class TransientError(CopydetectError):
    """A fault that may pass; the call, not the pipeline, is retried."""


class DependencyDown(TransientError):
    """A backend does not answer."""


class UsageError(CopydetectError):
    """What the operator asked for cannot be done; the message says what to change."""


class Fenced(CopydetectError):
    """Another process with the same identity took over; going on would fence that one in turn."""
