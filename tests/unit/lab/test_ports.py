import socket

from decamp.lab.health import free_port_base
from decamp.lab.layout import PORTS_USED


def test_a_new_lab_keeps_clear_of_what_listens() -> None:
    first = free_port_base()
    with socket.create_server(("127.0.0.1", first + PORTS_USED - 1)):
        assert free_port_base() > first
    assert free_port_base() == first
