"""How to reach Kafka, and how long to wait for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from kafka.net.compat import KafkaNetClient

from services.runtime.settings import Settings

# The largest published value: a dead letter, or what was found about a segment. Key, headers and batch come on top.
MAX_VALUE_BYTES: Final = 16 * 2**20
MAX_MESSAGE_BYTES: Final = MAX_VALUE_BYTES + 2**16
OVERDUE_CHECK_S: Final = 10  # brokers look so often for transactions that are over their time, by default
_RECONNECT_MS: Final = 1000  # the client's default of 30 s would make every outage half a minute longer


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All deadlines, in seconds. They form a ladder: each must end before the next acts on its own.

    flush + commit < transaction_delivery        a transaction is aborted before the client drops single records of it:
                                                 kafka-python would forget them and commit the rest
    transaction_request < transaction_delivery   a record survives one unanswered request
    transaction_delivery < transaction           no record is still in flight when the broker aborts its transaction
    transaction < session                        a member that is alive has given up before the group does without it
    transaction + OVERDUE_CHECK < restore        a previous owner's open transaction ends before the wait for it ends
    session < restore < max_poll                 a consumer that is restoring states is not considered dead
    request < delivery < publish                 outside of transactions the same: a record survives one unanswered
                                                 request, and the client gives it up before the wait for it ends

    If a process dies, its partitions go on elsewhere after its session and a rebalance; with states, after its open
    transaction as well, `transaction + OVERDUE_CHECK` at the latest. Both are to fit into 20 s. That leaves little time
    for a transaction: what one holds is small, and a broker that is slower costs another attempt, no result.
    """

    flush_s: float = 4  # until every record of a transaction is acknowledged
    commit_s: float = 3  # offsets and the end of a transaction
    transaction_request_s: float = 3
    transaction_delivery_s: float = 7.5
    transaction_s: float = 8
    session_s: float = 12  # long enough for pauses of a busy process: heartbeats come fifteen times as often
    restore_s: float = 30
    max_poll_s: float = 300
    request_s: float = 10
    delivery_s: float = 18
    publish_s: float = 20  # until every record is acknowledged, outside of transactions
    call_s: float = 10  # commits and queries of a consumer, start of a producer, queries about topics
    close_s: float = 5
    liveness_check_s: float = 5  # a consumer without records for this long asks the broker for the end offsets

    def __post_init__(self) -> None:
        transactions = [
            ("flush_s + commit_s", self.flush_s + self.commit_s),
            ("transaction_delivery_s", self.transaction_delivery_s),
            ("transaction_s", self.transaction_s),
            ("session_s", self.session_s),
            ("restore_s", self.restore_s),
            ("max_poll_s", self.max_poll_s),
        ]
        overdue = (f"transaction_s + {OVERDUE_CHECK_S}", self.transaction_s + OVERDUE_CHECK_S)
        publishing = [
            ("request_s", self.request_s),
            ("delivery_s", self.delivery_s),
            ("publish_s", self.publish_s),
        ]
        pairs = [*pairwise(transactions), *pairwise(publishing), (overdue, ("restore_s", self.restore_s))]
        pairs.append((("transaction_request_s", self.transaction_request_s), transactions[1]))
        for (lower, lower_s), (upper, upper_s) in pairs:
            if lower_s >= upper_s:
                raise ValueError(f"timeouts: {lower} ({lower_s:g}) must be less than {upper} ({upper_s:g})")


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the brokers are, and how to log in. Its repr shows no password."""

    brokers: str  # host:port, comma-separated
    client_id: str = "copydetect"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    timeouts: Timeouts = Timeouts()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        password = settings.kafka_password
        return cls(
            brokers=settings.kafka_brokers,
            client_id=f"copydetect-{settings.instance}",
            security_protocol=settings.kafka_security_protocol,
            sasl_mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_username,
            password=password.get_secret_value() if password else None,
            ca_file=settings.kafka_ca_file,
        )

    def __repr__(self) -> str:
        return f"KafkaConnection({self.brokers}, {self.security_protocol}, username={self.username})"

    def arguments(self) -> dict[str, Any]:
        """Arguments of every client."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": [broker.strip() for broker in self.brokers.split(",") if broker.strip()],
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": milliseconds(self.timeouts.request_s),
            "bootstrap_timeout_ms": milliseconds(self.timeouts.call_s),
            "reconnect_backoff_max_ms": _RECONNECT_MS,
        }
        if self.ca_file is not None:
            arguments["ssl_cafile"] = str(self.ca_file)
        if self.sasl_mechanism is not None:
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def producer_arguments(self) -> dict[str, Any]:
        """Arguments of every producer: no record twice, none out of order, none lost silently."""
        return self.arguments() | {
            "enable_idempotence": True,
            "acks": "all",
            "delivery_timeout_ms": milliseconds(self.timeouts.delivery_s),
            "max_request_size": MAX_MESSAGE_BYTES,
            "max_block_ms": milliseconds(self.timeouts.call_s),
        }

    def transaction_arguments(self, name: str) -> dict[str, Any]:
        """Arguments of a producer whose transactions have this name."""
        return self.producer_arguments() | {
            "transactional_id": name,
            "transaction_timeout_ms": milliseconds(self.timeouts.transaction_s),
            "request_timeout_ms": milliseconds(self.timeouts.transaction_request_s),
            "delivery_timeout_ms": milliseconds(self.timeouts.transaction_delivery_s),
            # As long as the flush, for sends that wait for metadata or memory.
            "max_block_ms": milliseconds(self.timeouts.flush_s),
        }

    def consumer_arguments(self) -> dict[str, Any]:
        """Arguments of every consumer."""
        return self.arguments() | {
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "allow_auto_create_topics": False,
            "isolation_level": "read_committed",
        }


def open_client(kind: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """A client of that kind. Raises KafkaError, and leaves nothing open then.

    A client of kafka-python 3.0.12 whose constructor reaches no broker leaks its thread and four file descriptors: an
    attempt every second would use up the process's descriptors during an outage.
    """
    parts = []

    def remember(**configs: Any) -> Any:
        parts.append(KafkaNetClient(**configs))
        return parts[-1]

    try:
        return kind(**arguments, kafka_client=remember)
    except BaseException:
        for part in parts:
            part.close()
        raise


def milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
