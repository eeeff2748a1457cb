"""How tests of the Redis cache open it."""

from services.backends.redis.cache import RedisCache


class MakeCache:
    """Opens caches for one test, and closes them after it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._caches: list[RedisCache] = []

    def __call__(
        self,
        url: str | None = None,
        *,
        model_version: str = "v1",
        username: str | None = None,
        password: str | None = None,
    ) -> RedisCache:
        cache = RedisCache(
            url or self._url, model_version=model_version, ttl_s=1000.0, username=username, password=password
        )
        self._caches.append(cache)
        return cache

    def close(self) -> None:
        for cache in self._caches:
            cache.close()
