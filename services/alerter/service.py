"""The alerter service. It uses no backend but Kafka, and no model: evidence brings its calibration along."""

from services.alerter.pipeline import AlertPipeline
from services.alerter.state_store import StateStore
from services.alerter.worker import AlertWorker
from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.watch import watch_service
from services.runtime.group_lag import list_groups
from services.runtime.process import service_process
from services.runtime.rule import AlertRule
from services.runtime.settings import Settings
from services.runtime.watermark import Watermark
from tca_model.bundle import load_bundle


def serve(settings: Settings) -> None:
    """Run until a signal arrives. Raises UsageError if the settings or the state of a backend make that impossible."""
    groups = list_groups(load_bundle(settings.bundle).model_version)  # the name of the matchers' group
    *before, alerter = groups
    watermarks = [Watermark(*stage) for stage in before]
    with service_process(settings) as service:
        bus = KafkaBus(KafkaConnection.from_settings(settings), instance=settings.instance)
        states = StateStore()
        worker = service.retrier_until_ready()(
            "kafka",
            AlertWorker,
            bus,
            AlertPipeline(states=states, rule=AlertRule.from_settings(settings)),
            states,
            asset_idle_s=settings.asset_idle_s,
            state_retention_s=settings.state_retention_s,
            alert_retention_s=settings.alert_retention_s,
            processed_until=lambda: min(mark.time_s or 0.0 for mark in watermarks),
            call=service.retrier_in_loop(lambda: worker.keep_alive()),
        )
        try:
            with watch_service(service.health, bus, own=alerter, groups=groups, watermarks=watermarks):
                service.run(worker)
        finally:
            bus.close()
