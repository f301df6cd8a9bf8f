import os
import socket

import pytest

from saras.errors import CannotStart
from saras.ports import free_ports, is_free, require_free


def test_a_busy_port_is_named_with_its_holder_and_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CannotStart) as caught:
            require_free("127.0.0.1", port, "SARAS_PORT", "the gateway")
    said = str(caught.value)
    assert f"port {port} (the gateway) is in use" in said
    assert f"(process {os.getpid()})" in said
    assert f"SARAS_PORT={port + 1}" in said


def test_a_port_that_becomes_free_in_time_will_do():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    server.close()
    require_free("127.0.0.1", port, "SARAS_PORT", "the gateway", wait_s=1)


def test_free_ports_are_free_and_different():
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(is_free("127.0.0.1", port) for port in ports)
