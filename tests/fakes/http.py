"""HTTP that answers as a test says, and remembers what it was asked."""

from collections.abc import Callable

from daemon.ports import HttpAnswer, HttpRequest

Answer = Callable[[HttpRequest], HttpAnswer | Exception]


class Http:
    """Implements `daemon.ports.Http`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        came = self.answer(request)
        if isinstance(came, Exception):
            raise came
        return came


def answer(status: int = 200, body: str = "", **headers: str) -> HttpAnswer:
    """Return an answer; underscores in header names are dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, named, body.encode(), 0.01)
