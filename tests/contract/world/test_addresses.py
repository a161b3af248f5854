"""Addresses of pods: each its own, none given twice, and a taken port is told."""

import random
import socket

import pytest

from daemon.errors import TransientError
from daemon.sandbox.addresses import OWN_ADDRESSES, Addresses

pytestmark = pytest.mark.skipif(
    not OWN_ADDRESSES, reason="only Linux answers on all of 127.0.0.0/8"
)


@pytest.fixture
def taken():
    """A port that another program has on all addresses."""
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        yield other.getsockname()[1]


def free():
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


def test_two_pods_have_the_same_port_at_addresses_of_their_own():
    addresses, port = Addresses(random.Random(1)), free()

    one, other = addresses.reserve((port,)), addresses.reserve((port,))

    assert one.ip != other.ip
    assert one.ports == other.ports == {port: port}
    one.close()
    other.close()


def test_an_address_that_was_given_back_is_not_given_again():
    addresses = Addresses(random.Random(1))
    seen = set()
    for _ in range(300):
        berth = addresses.reserve(())
        seen.add(berth.ip)
        berth.close()

    assert len(seen) == 300


def test_a_berth_can_be_taken_again_after_a_crash():
    berth = Addresses(random.Random(1)).reserve((free(),))

    for _ in range(2):
        [bound] = berth.take()
        bound.listen()
        bound.close()


def test_a_bound_berth_refuses_until_the_application_listens():
    berth = Addresses(random.Random(1)).reserve((free(),))
    [port] = berth.ports

    with socket.socket() as caller, pytest.raises(ConnectionRefusedError):
        caller.connect((berth.ip, port))
    berth.close()


def test_a_port_taken_on_all_addresses_is_told(taken):
    with pytest.raises(TransientError, match=f"port {taken} free: probably a process"):
        Addresses(random.Random(1)).reserve((taken,))


def test_pods_get_the_first_port_that_is_not_taken(taken):
    other = free()

    assert Addresses(random.Random(1)).free_port((taken, other)) == other


def test_without_own_addresses_each_pod_has_a_port_of_its_own():
    addresses = Addresses(random.Random(1), own=False)

    one, other = addresses.reserve((8080,)), addresses.reserve((8080,))

    assert one.ip == other.ip == "127.0.0.1"
    assert one.ports[8080] != other.ports[8080]
    one.close()
    other.close()
