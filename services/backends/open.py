"""Opens the backends of a service in a cluster from the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.backends.milvus.index import MilvusIndex
from services.backends.redis.cache import RedisCache
from services.runtime.readiness import Question
from services.runtime.retry import Retrier
from services.runtime.settings import Settings
from tca_model.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Backends:
    bus: KafkaBus
    index: MilvusIndex
    cache: RedisCache


@contextmanager
def open_backends(settings: Settings, bundle: Bundle, retrier: Retrier) -> Iterator[Backends]:
    """The backends, as soon as Milvus answers, closed at the end; Redis may be down at any time."""
    index = retrier("milvus", open_milvus_index, settings, bundle)
    cache = open_redis_cache(settings, bundle)
    bus = KafkaBus(KafkaConnection.from_settings(settings), instance=settings.instance)
    try:
        yield Backends(bus, index, cache)
    finally:
        bus.close()
        cache.close()
        index.close()


def list_questions(backends: Backends) -> list[Question]:
    """What readiness asks about the backends besides Kafka. Without Redis a service is slower, but ready."""
    return [
        Question("milvus", backends.index.find_problem),
        Question("redis", lambda: next(iter(backends.cache.problems()), None), is_needed=False),
    ]


def open_milvus_index(settings: Settings, bundle: Bundle) -> MilvusIndex:
    """The index of the bundle's model; creates missing collections."""
    return MilvusIndex(
        settings.milvus_uri,
        model_version=bundle.model_version,
        dimension=bundle.manifest.descriptor.frame.dimension,
        timeout_s=settings.milvus_timeout_s,
        token=settings.milvus_token.get_secret_value() if settings.milvus_token else None,
    )


def open_redis_cache(settings: Settings, bundle: Bundle) -> RedisCache:
    """The cache of the bundle's model."""
    return RedisCache(
        settings.redis_url,
        model_version=bundle.model_version,
        ttl_s=settings.cache_ttl_s,
        username=settings.redis_username,
        password=settings.redis_password.get_secret_value() if settings.redis_password else None,
    )
