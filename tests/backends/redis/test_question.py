"""What an idle service asks Redis, so that it is not taken for down or up on old news."""

import pytest
import redis

from services.backends.redis.cache import RedisCache
from tests.backends.redis.cases import MakeCache
from tests.metric_values import metric_value
from tests.servers.redis_server import RedisServer

pytestmark = pytest.mark.integration


def is_up() -> float:
    return metric_value("copydetect_dependency_up", dependency="redis")


def test_a_question_from_an_idle_service_sets_the_metric(cache: RedisCache, server: RedisServer) -> None:
    server.stop()
    [problem] = cache.problems()
    assert (problem.startswith("does not answer"), is_up()) == (True, 0)
    server.start()
    assert (cache.problems(), is_up()) == ([], 1)


def test_a_user_without_the_right_to_ask_for_the_memory_is_no_problem(
    make_cache: MakeCache, admin: redis.Redis
) -> None:
    admin.acl_setuser("app", enabled=True, passwords=["+s3cret"], keys=["fd:*"], commands=["+get", "+mget", "+set"])
    assert make_cache(username="app", password="s3cret").problems() == []
