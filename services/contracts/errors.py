"""What an error leads to: a dead letter, a retry, or the end of the process.

CopydetectError
    InvalidMessage      can never succeed: dead letter, with the reason
    TransientError      may succeed later: retried with backoff, never dead-lettered
        DependencyDown  a backend does not answer: consumption pauses until it does
    UsageError          the operator's mistake (settings, bundle, paths): refuse to start, say what to do
        MessageTooLarge a message is larger than its topic allows
    StorageFailed       the database on this machine is damaged, or its disk full: the command ends
    Fenced              another process replaced this one: exit, a supervisor starts it again
    Stopped             a signal ended the wait for a backend: exit (services.runtime.retry)
    UnreadableState     a state of the alerter is damaged or of another version: exit (services.alerter.state_codec)
    CommandFailed       a command failed although it was used correctly: exit (services.cli.errors)

Anything else is a bug: the records in progress are tried again, each alone, and the one to blame becomes a dead letter
(services.runtime.defects). Without a record in progress it ends the process. Whenever a process ends, its unfinished
records stay uncommitted.
Exceptions of client libraries are translated to these where the library is imported: in services.backends, and for
urllib3 in services.ingest.fetch.http.
"""

from typing import Final, Literal, TypeAlias

# Where a message turned out to be invalid; "defect": in none of them, but work on it fails by an error of this program.
Stage: TypeAlias = Literal["parse", "fetch", "decode", "defect"]


LONGEST_REASON: Final = 5000  # characters; a URI of 4096 and what is wrong with it


class CopydetectError(Exception):
    """Base of every error that this project raises on purpose."""


class InvalidMessage(CopydetectError):
    """Input that can never succeed; `stage` is where it failed. A long reason is cut: parts of it come from outside."""

    def __init__(self, reason: str, *, stage: Stage) -> None:
        self.reason = reason[:LONGEST_REASON]
        super().__init__(self.reason)
        self.stage = stage


class TransientError(CopydetectError):
    """A temporary fault; the call is retried, not the pipeline."""


class DependencyDown(TransientError):
    """A backend does not answer."""


class UsageError(CopydetectError):
    """The operator's request cannot be fulfilled; the message says what to change."""


class MessageTooLarge(UsageError):
    """A message is larger than its topic allows; the operator can raise the limit."""


class StorageFailed(CopydetectError):
    """The database of a laptop failed. A server's database that fails is a DependencyDown."""


class Fenced(CopydetectError):
    """Another process with the same identity took over; continuing would fence that one in turn."""
