"""Two gateways before one Redis: the calls that guard passwords are counted together."""

import pytest

from saras_common.testing import PrivateRedis


@pytest.fixture
def redis_server():
    if PrivateRedis.missing():
        pytest.skip(PrivateRedis.missing())
    server = PrivateRedis()
    server.start()
    yield server
    server.stop()


def test_two_gateways_share_the_login_rate_and_survive_redis(platform_with, redis_server):
    settings = {"redis_url": redis_server.url, "rate_login": "6/minute"}
    one, two = platform_with(**settings), platform_with(**settings)
    statuses = [platform.post("/api/v1/login").status for _ in range(5) for platform in (one, two)]
    assert statuses == [200] * 6 + [429] * 4
    redis_server.kill()
    assert two.post("/api/v1/login").status == 200  # each counts for itself until Redis is back
    assert one.get("/health/live").status == 200
