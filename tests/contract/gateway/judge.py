"""How tests judge answers that are drawn by weight."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from tests.contract.gateway.world import Answer

TIMES = 100
SIGMAS = 4.9
"""One false alarm in a million tests."""


def versions(answers: Counter[Answer]) -> dict[str | None, int]:
    """Answers by version; those that no pod gave are counted under None."""
    found: Counter[str | None] = Counter()
    for answer, count in answers.items():
        found[answer.version] += count
    return dict(found)


def only(version: str | None, times: int) -> dict[str | None, int]:
    return {version: times}


def assert_shares(answers: Counter[Answer], shares: Mapping[str | None, float]) -> None:
    """Every share within its binomial bound, and nothing else at all."""
    found, times = versions(answers), answers.total()
    assert set(found) == set(shares)
    for version, share in shares.items():
        spread = SIGMAS * (times * share * (1 - share)) ** 0.5
        assert abs(found[version] - times * share) <= spread, found


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again, for ten seconds at most, until something outside of us holds."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 -- another process tells no event
            await asyncio.sleep(0.01)
