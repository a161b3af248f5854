"""The sandbox's node at a real API server: it runs echo's pods, each at an address of its own."""

import random

from daemon.kube.listwatch import Key
from daemon.sandbox.addresses import Addresses
from daemon.sandbox.node import Node

APP_NAMESPACE = "echo"
FIRST_HOST, LAST_HOST = 10, 250
WORKERS = 4
"""Share the range: 60 addresses each, used again after that many pods."""


class DocumentationAddresses(Addresses):
    """Addresses of 192.0.2.0/24, a part for each worker."""

    def __init__(self, number: int) -> None:
        super().__init__(random.Random(number), own=True)
        self._size = (LAST_HOST - FIRST_HOST) // WORKERS
        self._first = FIRST_HOST + number % WORKERS * self._size
        self._given = 0

    def _advance(self) -> str:
        self._given += 1
        return f"192.0.2.{self._first + self._given % self._size}"


class EchoNode(Node):
    """Leaves the pods of other namespaces Pending: they are not echo."""

    def _admit(self, key: Key, group: object) -> None:
        if key[0] == APP_NAMESPACE:
            super()._admit(key, group)
