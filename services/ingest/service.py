"""The ingest service."""

from services.backends.kafka.watch import watch_service
from services.backends.open import list_questions, open_backends
from services.backends.retrying_index import RetryingIndex
from services.contracts.errors import UsageError
from services.ingest.assemble import describer_of, open_ingest_pipeline
from services.ingest.worker import IngestWorker
from services.runtime.group_lag import list_groups
from services.runtime.process import service_process
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle


def serve(settings: Settings) -> None:
    """Run until a signal arrives. Raises UsageError if the settings or the state of a backend make that impossible."""
    if not settings.fetch_roots and not settings.fetch_hosts:
        raise UsageError("nothing can be fetched: set COPYDETECT_FETCH_ROOTS (folders) or COPYDETECT_FETCH_HOSTS")
    bundle = load_bundle(settings.bundle)
    describer = describer_of(bundle)
    with (
        service_process(settings, bundle) as service,
        open_backends(settings, bundle, service.retrier_until_ready()) as backends,
    ):
        describer.warm_up()
        retrier = service.retrier_in_loop(lambda: worker.keep_alive())
        index = RetryingIndex(backends.index, retrier, choose=lambda batch: pipeline.ownership.choose(batch))
        with open_ingest_pipeline(
            settings,
            bundle,
            index=index,
            cache=backends.cache,
            describer=describer,
            roots=settings.fetch_roots,
            health=service.health,
        ) as pipeline:
            worker = service.retrier_until_ready()(
                "kafka",
                IngestWorker,
                backends.bus,
                pipeline,
                call=retrier,
                max_invalid_in_a_row=settings.max_invalid_in_a_row,
                health=service.health,
            )
            ingest, *others = list_groups(bundle.model_version)
            with watch_service(
                service.health,
                backends.bus,
                own=ingest,
                groups=[ingest, *others],
                backends=list_questions(backends),
            ):
                service.run(worker)
