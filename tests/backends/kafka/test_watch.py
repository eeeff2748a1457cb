"""An idle service notices by itself that Kafka, or a partition of its own, is away."""

import pytest

from services.backends.kafka import watch
from services.backends.kafka.bus import KafkaBus
from services.contracts.errors import DependencyDown
from services.runtime.group_lag import GroupTopic
from services.runtime.probes import Health
from services.runtime.readiness import Question
from services.runtime.watermark import Watermark
from tests.backends.kafka.cases import connect, join, make_topic, message, take, unique_name, wait_until
from tests.metric_values import metric_value
from tests.servers.fixtures import StartServer
from tests.servers.kafka_server import KafkaServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_an_idle_service_knows_whether_it_can_work(  # type: ignore[no-untyped-def]
    tmp_path, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for every in ("LAG_EVERY_S", "BACKENDS_EVERY_S", "OWN_EVERY_S"):
        monkeypatch.setattr(watch, every, 0.1)
    server = start_server(KafkaServer(tmp_path))
    connection = connect(server.address)
    topic, group = make_topic(connection, "input", 2), unique_name("group")
    health, bus, mark = Health(loop_timeout_s=600), KafkaBus(connection), Watermark(topic, group)
    health.clear("start")
    down: list[str] = []

    def ask_redis() -> None:
        if down:
            raise DependencyDown(down[0])

    own = GroupTopic(topic, group)
    with watch.watch_service(
        health,
        bus,
        own=own,
        groups=[own],
        backends=[Question("redis", ask_redis, is_needed=False)],
        watermarks=[mark],
    ):
        wait_until(lambda: "nobody has 0, 1" in health.why_not_ready().get("assignment", ""))
        consumer, standby = bus.open_consumer(topic, group), KafkaBus(connection)
        join(consumer, 2)
        wait_until(lambda: health.why_not_ready() == {})
        with watch.watch_service(other := Health(loop_timeout_s=600), standby, own=own, groups=[own]):
            other.clear("start")
            wait_until(lambda: not other.why_not_ready() and bool(consumer.poll(1, 0.1) or True))

        bus.publish([message(topic, str(number), key=f"k{number}") for number in range(6)])
        wait_until(lambda: metric_value("copydetect_group_lag_records", group=group) == 6)
        consumer.commit(take(consumer, 6))
        wait_until(lambda: metric_value("copydetect_group_lag_records", group=group) == 0)
        assert mark.time_s is not None

        down.append("refused")
        wait_until(lambda: health.degradations == {"redis": "refused"})
        assert health.why_not_ready() == {}
        down.clear()
        wait_until(lambda: health.degradations == {})

        server.pause()  # an idle consumer notices it
        wait_until(lambda: not consumer.poll(1, 0.1) and "kafka" in health.why_not_ready())
        server.resume()
        wait_until(lambda: not consumer.poll(1, 0.1) and health.why_not_ready() == {}, patience_s=40)
        consumer.close()
        wait_until(lambda: "assignment" in health.why_not_ready(), patience_s=40)
    bus.close()
