"""Whether a port is free, said before anything is started on it."""

import socket

from daemon.errors import PermanentError

HOST = "127.0.0.1"


class PortTakenError(PermanentError):
    """Another program listens there; the message names the port and the option to change."""


def ensure_free(port: int, option: str) -> None:
    """Make sure that a server can be started on a port; 0 stands for any free one.

    Raises:
        PortTakenError: another program has it.
    """
    if not port:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as fault:
            raise PortTakenError(
                f"port {port} on {HOST} cannot be used ({fault.strerror}): stop the program that"
                f" has it, choose another with {option}, or leave {option} out to take a free one"
            ) from fault
