"""`copydetect doctor`: says in words what is reachable and what is wrong."""

from collections.abc import Callable, Iterator

import typer

from services.backends.kafka import topics as kafka_topics
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console
from services.contracts.errors import CopydetectError
from services.runtime.settings import Settings, load_settings
from tca_model.bundle import load_bundle
from tca_model.errors import BundleError

CHECK_S = 5.0  # patience with a backend that does not answer


def doctor() -> None:
    """Check settings, model, Kafka with its topics, Redis and Milvus. Exit code 1 when something is wrong."""
    settings = load_settings().model_copy(update={"milvus_timeout_s": CHECK_S})
    console.print("ok     settings")
    checks: dict[str, Callable[[Settings], Iterator[str]]] = {
        "model": _model,
        "kafka": _kafka,
        "redis": _redis,
        "milvus": _milvus,
        "uploads": _uploads,
    }
    failed = [name for name, check in checks.items() if not _passes(name, check, settings)]
    raise typer.Exit(1 if failed else 0)


def _passes(name: str, check: Callable[[Settings], Iterator[str]], settings: Settings) -> bool:
    """Whether nothing is wrong; prints what is."""
    try:
        problems = list(check(settings))
    except (CopydetectError, BundleError) as error:
        problems = [str(error)]
    for problem in problems:
        console.print(f"wrong  {name}: {problem}", soft_wrap=True)
    if not problems:
        console.print(f"ok     {name}")
    return not problems


def _model(settings: Settings) -> Iterator[str]:
    load_bundle(settings.bundle)
    yield from ()


def _kafka(settings: Settings) -> Iterator[str]:
    connection = KafkaConnection.from_settings(settings)
    brokers = kafka_topics.broker_count(connection)
    replication = min(kafka_topics.REPLICATION, brokers)
    yield from kafka_topics.check(connection, kafka_topics.plan(replication=replication))


def _redis(settings: Settings) -> Iterator[str]:
    from services.backends.open import open_redis_cache

    yield from open_redis_cache(settings, load_bundle(settings.bundle)).problems()


def _milvus(settings: Settings) -> Iterator[str]:
    from services.backends.milvus.index import MilvusIndex  # pymilvus takes a second

    version = load_bundle(settings.bundle).model_version
    others = MilvusIndex.model_versions(settings.milvus_uri, token=_token(settings), timeout_s=CHECK_S) - {version}
    if others:
        yield (
            f"holds descriptors of other models too ({', '.join(sorted(others))}): {settings.bundle} is model "
            f"{version} and never finds what those described"
        )


def _token(settings: Settings) -> str | None:
    return settings.milvus_token.get_secret_value() if settings.milvus_token else None


def _uploads(settings: Settings) -> Iterator[str]:
    if not settings.fetch_roots and not settings.fetch_hosts:
        yield "nothing can be fetched: set COPYDETECT_FETCH_ROOTS (folders) or COPYDETECT_FETCH_HOSTS (hosts)"
    for root in settings.fetch_roots:
        if not root.is_dir():
            yield f"COPYDETECT_FETCH_ROOTS names {root}, which is no folder here"
