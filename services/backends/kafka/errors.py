"""Translates the exceptions of Kafka's client, and keeps track of whether Kafka answers."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from kafka import errors as kafka_errors

from services.backends.kafka.connection import MAX_MESSAGE_BYTES
from services.contracts.errors import (
    CopydetectError,
    DependencyDown,
    Fenced,
    MessageTooLarge,
    TransientError,
    UsageError,
)
from services.runtime import metrics

KafkaError = kafka_errors.KafkaError

Result = TypeVar("Result")

log = structlog.get_logger(__name__)
_reported: str | None = None  # why Kafka is down, "" if it answers, None before the first call

_WRONG_LOGIN = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
# The group has moved on without this consumer, or is about to: this consumer or another one repeats the work.
_MOVED_ON = (
    kafka_errors.CommitFailedError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)


def translate(error: BaseException, doing: str) -> CopydetectError:
    """This project's error for a client's error while `doing` something. Notes if Kafka is down."""
    kinds = causes(error)

    def any_is(*types: type[BaseException]) -> bool:
        return any(isinstance(kind, types) for kind in kinds)

    text = f"Kafka, {doing}: {error}"
    if any_is(kafka_errors.ProducerFencedError) or "ProducerFenced" in str(error):
        return Fenced(f"{text}: another process has the same name; give each its own COPYDETECT_INSTANCE")
    if any_is(*_WRONG_LOGIN):
        return UsageError(f"{text}: check COPYDETECT_KAFKA_USERNAME, _PASSWORD and _SASL_MECHANISM")
    if any_is(kafka_errors.AuthorizationError):
        return UsageError(f"{text}: the user of COPYDETECT_KAFKA_USERNAME lacks the right to do this")
    if any_is(kafka_errors.KafkaConfigurationError):
        return UsageError(text)
    if any_is(*_TOO_LARGE):
        return MessageTooLarge(
            f"{text}: at most {MAX_MESSAGE_BYTES} bytes can be sent, or less if the topic's max.message.bytes is lower"
        )
    if any_is(kafka_errors.UnknownTopicOrPartitionError, kafka_errors.InvalidTopicError):
        return UsageError(f"{text}: create the topics with `copydetect topics`")
    if any_is(*_MOVED_ON):
        return TransientError(text)
    report_down(error)
    return DependencyDown(text)


def causes(error: BaseException) -> list[BaseException]:
    """The error and all that it wraps: the client hides a producer's first error in the arguments of later ones."""
    wrapped = [*error.args, error.__cause__]
    return [error, *(cause for inner in wrapped if isinstance(inner, BaseException) for cause in causes(inner))]


def report_up() -> None:
    """Note that Kafka answers: in the metric, and in the log if it did not before."""
    _report("", log.info, "Kafka answers")


def report_down(error: BaseException | str) -> None:
    """Note that Kafka does not answer: in the metric, and in the log with the error if its kind is a new one."""
    kind = error if isinstance(error, str) else type(error).__name__
    _report(kind, log.warning, "Kafka does not answer", error=error if isinstance(error, str) else repr(error))


def why_down() -> str | None:
    """Why Kafka does not answer; None if it does, or was not asked yet. For any thread."""
    return f"does not answer: {_reported}" if _reported else None


def _report(state: str, write: Callable[..., object], event: str, **fields: str) -> None:
    global _reported
    metrics.dependency_up.labels("kafka").set(not state)
    if state != _reported:
        write(event, **fields)
    _reported = state


def run_within(deadline_s: float, work: Callable[[], Result], doing: str) -> Result:
    """What `work` returns. Raises DependencyDown if it takes longer, and abandons its thread then.

    For calls without a deadline of their own: kafka-python's never return if the coordinator refuses connections.
    """
    results: list[Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failures.append(error)

    thread = threading.Thread(target=run, name=f"kafka-{doing.replace(' ', '-')}", daemon=True)
    thread.start()
    thread.join(deadline_s)
    if failures:
        raise failures[0]
    if results:
        return results[0]
    report_down(f"no answer while {doing}")
    raise DependencyDown(f"Kafka, {doing}: no answer in {deadline_s:g} s")
