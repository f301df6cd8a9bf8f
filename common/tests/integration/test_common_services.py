import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from saras_common.testing import PrivateRedis

OWNER = """
import time
from saras_common.testing import PrivateRedis

server = PrivateRedis()
server.start()
print(server._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.services
def test_redis_answers(redis_url):
    client = redis.Redis.from_url(redis_url)
    assert client.ping()
    client.close()


@pytest.mark.services
def test_a_private_server_dies_with_its_owner():
    if reason := PrivateRedis.missing():
        pytest.skip(reason)
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        pid = int(owner.stdout.readline())
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not ended(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(pid) -> bool:
    """Gone, or dead and waiting for somebody to collect it."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True
