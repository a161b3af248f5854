"""Loopback addresses for pods, so that each pod has one of its own, as in a cluster.

Linux answers on all of 127.0.0.0/8, so a pod gets 127.1.x.y and the port its container declares.
Elsewhere there is only 127.0.0.1: pods share it, and each declared port becomes a free one. An
address is not given twice by one allocator: a gateway that still knows a dead pod must not meet a
living one there.
"""

import errno
import random
import socket
import sys
from typing import Final

from daemon.errors import TransientError

OWN_ADDRESSES: Final = sys.platform == "linux"
NETWORK: Final = "127.1"
ADDRESSES: Final = 256 * 254
"""127.1.0.1 to 127.1.255.254, without .0 and .255, which some tools refuse."""
ATTEMPTS: Final = 50
"""Other sandboxes on this machine hold some addresses; fifty taken in a row mean that the port
itself is.
"""


class Berth:
    """An address with bound ports, held from before the start of a container to the end of its pod.

    Attributes:
        ip: the pod's address.
        ports: declared port -> real port.
    """

    def __init__(self, ip: str, sockets: dict[int, socket.socket]) -> None:
        self.ip = ip
        self.ports = {port: one.getsockname()[1] for port, one in sockets.items()}
        self._held = list(sockets.values())

    def take(self) -> list[socket.socket]:
        """Hand over the bound sockets; after a crash they are bound anew.

        Raises:
            TransientError: the ports were taken meanwhile.
        """
        held, self._held = self._held, []
        if held or not self.ports:
            return held
        try:
            return [_bound(self.ip, port) for port in self.ports.values()]
        except OSError as fault:
            raise TransientError(f"{self.ip} is taken by another process: {fault}") from fault

    def close(self) -> None:
        """Give up what is still held."""
        for one in self._held:
            one.close()
        self._held = []


class Addresses:
    """Gives berths, each at an address never given before."""

    def __init__(self, rng: random.Random, *, own: bool = OWN_ADDRESSES) -> None:
        self._own = own
        self._next = rng.randrange(ADDRESSES)

    def free_port(self, candidates: tuple[int, ...]) -> int:
        """Choose the first port that pods can have.

        Raises:
            TransientError: none of them.
        """
        problem: TransientError | None = None
        for port in candidates:
            try:
                self.reserve((port,)).close()
            except TransientError as fault:
                problem = fault
            else:
                return port
        assert problem, "there was a candidate"
        raise problem

    def reserve(self, ports: tuple[int, ...]) -> Berth:
        """Bind the ports on a free address.

        Raises:
            TransientError: no address has these ports free.
        """
        if not self._own:
            return Berth("127.0.0.1", {port: _bound("127.0.0.1", 0) for port in ports})
        for _ in range(ATTEMPTS):
            ip = self._advance()
            berth = _berth(ip, ports)
            if berth:
                return berth
        raise TransientError(
            f"no address in {NETWORK}.0.0/16 has port {', '.join(map(str, ports))} free: probably a"
            " process on this machine listens there on all addresses; stop it, or declare another"
            " containerPort"
        )

    def _advance(self) -> str:
        self._next = (self._next + 1) % ADDRESSES
        high, low = divmod(self._next, 254)
        return f"{NETWORK}.{high}.{low + 1}"


def _berth(ip: str, ports: tuple[int, ...]) -> Berth | None:
    sockets: dict[int, socket.socket] = {}
    for port in ports:
        try:
            sockets[port] = _bound(ip, port)
        except OSError as fault:
            for one in sockets.values():
                one.close()
            if fault.errno in {errno.EADDRINUSE, errno.EACCES}:
                return None
            raise
    return Berth(ip, sockets)


def _bound(ip: str, port: int) -> socket.socket:
    """Bind without listening: the address is ours, and callers are refused."""
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((ip, port))
    except OSError:
        one.close()
        raise
    return one
