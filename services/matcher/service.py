"""The matcher service."""

from concurrent.futures import ThreadPoolExecutor

from services.backends.kafka.watch import watch_service
from services.backends.open import list_questions, open_backends
from services.backends.retrying_index import RetryingIndex
from services.matcher.assemble import build_match_pipeline
from services.matcher.candidates import NearestCandidates
from services.matcher.worker import MatchWorker
from services.runtime.group_lag import list_groups
from services.runtime.process import service_process
from services.runtime.rule import AlertRule
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle


def serve(settings: Settings) -> None:
    """Run until a signal arrives. Raises UsageError if the settings or the state of a backend make that impossible."""
    bundle = load_bundle(settings.bundle)
    groups = list_groups(bundle.model_version)
    _, matcher, _ = groups
    with (
        service_process(settings, bundle) as service,
        open_backends(settings, bundle, service.retrier_until_ready()) as backends,
        ThreadPoolExecutor(settings.match_threads, "match") as threads,
    ):
        # The threads leave it to the loop to stay a member of the group.
        index = RetryingIndex(backends.index, service.retrier_in_loop(lambda: None))
        pipeline = build_match_pipeline(
            index,
            backends.cache,
            NearestCandidates(index),
            rule=AlertRule.from_settings(settings),
            calibration=bundle.manifest.calibration,
        )
        worker = service.retrier_until_ready()(
            "kafka",
            MatchWorker,
            backends.bus,
            pipeline,
            group=matcher.group,
            threads=threads,
            call=service.retrier_in_loop(lambda: worker.keep_alive()),
        )
        with watch_service(service.health, backends.bus, own=matcher, groups=groups, backends=list_questions(backends)):
            service.run(worker)
