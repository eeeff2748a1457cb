"""Without a broker: the order of the deadlines, the translation of client errors, and the plan of topics."""

import time

import pytest
from kafka import errors as kafka_errors
from structlog.testing import capture_logs

from services.backends.kafka.connection import OVERDUE_CHECK_S, KafkaConnection, Timeouts
from services.backends.kafka.consumer import text, to_headers
from services.backends.kafka.errors import KafkaError, report_up, run_within, translate
from services.backends.kafka.topics import plan
from services.contracts.errors import (
    CopydetectError,
    DependencyDown,
    Fenced,
    MessageTooLarge,
    TransientError,
    UsageError,
)
from services.contracts.topics import (
    ALERTER_STATE,
    ASSET_VERDICTS,
    DEAD_LETTER_SUFFIX,
    DUPLICATE_ALERTS,
    ENCODED_SEGMENTS,
    MATCH_EVIDENCE,
    VIDEO_SEGMENTS,
)
from services.runtime import metrics
from services.runtime.settings import Settings
from tests.metric_values import metric_value


@pytest.mark.parametrize(
    "wrong",
    [
        {"flush_s": 20},
        {"transaction_request_s": 7.5},
        {"transaction_delivery_s": 8},
        {"transaction_s": 12},
        {"transaction_s": 11, "session_s": 12, "restore_s": 21},
        {"session_s": 30},
        {"restore_s": 300},
        {"request_s": 18},
        {"delivery_s": 20},
        {"publish_s": 1},
    ],
)
def test_timeouts_in_the_wrong_order_are_refused(wrong: dict[str, float]) -> None:
    Timeouts()
    with pytest.raises(
        ValueError, match=f"{next(iter(wrong))}.* must be less than|must be less than {next(iter(wrong))}"
    ):
        Timeouts(**wrong)


def test_partitions_of_a_dead_process_go_on_within_20_seconds() -> None:
    timeouts = Timeouts()
    hearing_of_it_s = timeouts.session_s / 15  # members learn of a rebalance by a heartbeat
    assert timeouts.session_s + hearing_of_it_s < 18
    assert timeouts.transaction_s + OVERDUE_CHECK_S <= 18


def test_a_process_that_is_alive_gives_up_its_transaction_before_others_may() -> None:
    arguments = KafkaConnection("a:1").transaction_arguments("name")
    assert arguments["request_timeout_ms"] < arguments["delivery_timeout_ms"] < arguments["transaction_timeout_ms"]
    assert arguments["transaction_timeout_ms"] == 8000
    assert KafkaConnection("a:1").producer_arguments()["delivery_timeout_ms"] == 18_000


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (kafka_errors.KafkaTimeoutError("late"), DependencyDown, "late"),
        (kafka_errors.KafkaConnectionError("refused"), DependencyDown, "refused"),
        (kafka_errors.NotEnoughReplicasError(), DependencyDown, "doing"),
        (kafka_errors.SaslAuthenticationFailedError(), UsageError, "COPYDETECT_KAFKA_PASSWORD|_PASSWORD"),
        (kafka_errors.TopicAuthorizationFailedError({"t"}), UsageError, "right"),
        (kafka_errors.UnknownTopicOrPartitionError(), UsageError, "copydetect topics"),
        (kafka_errors.MessageSizeTooLargeError("big"), MessageTooLarge, "max.message.bytes"),
        (kafka_errors.ProducerFencedError(), Fenced, "COPYDETECT_INSTANCE"),
        (KafkaError("cannot send", kafka_errors.ProducerFencedError()), Fenced, "COPYDETECT_INSTANCE"),
        (KafkaError("in an error state: [Error 90] ProducerFencedError"), Fenced, "COPYDETECT_INSTANCE"),
        (kafka_errors.CommitFailedError(), TransientError, "rebalanced"),
    ],
)
def test_every_client_error_is_translated(error: KafkaError, expected: type[CopydetectError], message: str) -> None:
    translation = translate(error, "doing")
    assert type(translation) is expected
    with pytest.raises(expected, match=message):
        raise translation


def test_an_outage_shows_in_the_metric() -> None:
    metrics.dependency_up.labels("kafka").set(1)
    translate(kafka_errors.KafkaTimeoutError(), "reading")
    assert metric_value("copydetect_dependency_up", dependency="kafka") == 0


def test_a_call_that_never_returns_is_abandoned() -> None:
    started = time.monotonic()
    with pytest.raises(DependencyDown, match=r"waiting: no answer in 0\.1 s"):
        run_within(0.1, lambda: time.sleep(1), "waiting")
    assert time.monotonic() - started < 0.9
    assert run_within(1, lambda: 7, "counting") == 7
    with pytest.raises(ZeroDivisionError):
        run_within(1, lambda: 1 // 0, "dividing")


def test_settings_become_a_connection_that_shows_no_password() -> None:
    settings = Settings.model_validate(
        {
            "kafka_brokers": "a:1, b:2",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_username": "me",
            "kafka_password": "secret",
            "kafka_ca_file": "/ca.pem",
        }
    )
    connection = KafkaConnection.from_settings(settings)
    arguments = connection.arguments()
    assert arguments["bootstrap_servers"] == ["a:1", "b:2"]
    assert arguments["sasl_plain_password"] == "secret"
    assert arguments["ssl_cafile"] == "/ca.pem"
    assert "secret" not in repr(connection)
    assert connection.consumer_arguments()["isolation_level"] == "read_committed"


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert to_headers([("a", b"\xff"), ("b", None), ("c", "ü".encode())]) == {"a": "�", "b": "", "c": "ü"}
    assert to_headers(None) == {}
    assert text(None) == ""
    assert text(b"\xffk") == "�k"


def test_states_have_as_many_partitions_as_their_input() -> None:
    topics = {topic.name: topic for topic in plan(partitions=5, replication=3)}
    assert topics[MATCH_EVIDENCE].partitions == topics[ALERTER_STATE].partitions == 5
    assert topics[ALERTER_STATE].config["cleanup.policy"] == "compact"
    assert {topic.config["min.insync.replicas"] for topic in topics.values()} == {"2"}
    assert {topic.config["min.insync.replicas"] for topic in plan(1, 1)} == {"1"}
    with pytest.raises(UsageError, match="at least 1"):
        plan(0)


def test_results_are_kept_as_tables_and_uploads_have_the_brokers_time() -> None:
    topics = {topic.name: topic.config for topic in plan()}
    for name in (DUPLICATE_ALERTS, ASSET_VERDICTS):
        assert topics[name]["cleanup.policy"] == "compact,delete"
        assert topics[name]["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert topics[VIDEO_SEGMENTS]["message.timestamp.type"] == "LogAppendTime"


def test_every_topic_of_work_has_one_for_dead_letters_that_holds_its_largest_record() -> None:
    topics = {topic.name: topic.config for topic in plan()}
    for name in (VIDEO_SEGMENTS, ENCODED_SEGMENTS, MATCH_EVIDENCE):
        letters = topics[name + DEAD_LETTER_SUFFIX]
        assert int(letters["max.message.bytes"]) >= int(topics[name].get("max.message.bytes", 0))


def test_why_kafka_does_not_answer_is_logged_once_per_kind_of_error() -> None:
    with capture_logs() as logs:
        report_up()
        logs.clear()
        for error in [KafkaError("strange"), KafkaError("strange again"), kafka_errors.KafkaTimeoutError("late")]:
            translate(error, "reading")
        report_up()
        report_up()
    assert [(one["log_level"], one["event"], one.get("error")) for one in logs] == [
        ("warning", "Kafka does not answer", "KafkaError('strange')"),
        ("warning", "Kafka does not answer", "KafkaTimeoutError('late')"),
        ("info", "Kafka answers", None),
    ]
