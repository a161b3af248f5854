"""A proof under way: what the prover told so far, waited for by its words."""

import asyncio
from dataclasses import dataclass, field

from daemon.core.model import Proof

PATIENCE = 20.0
"""Seconds for a thing that takes one on a quiet machine."""


@dataclass
class Proving:
    """A proof under way.

    Attributes:
        reports: what the prover told, oldest first; the last is the proof once it ended.
    """

    task: asyncio.Task[Proof]
    reports: list[Proof] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def told(self, *texts: str) -> str:
        """Wait until an unconfirmed report says all of this; return it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for report in self.reports:
                    if all(text in report.detail for text in texts):
                        assert report.confirmed_at is None
                        return report.detail
                assert not self.task.done(), f"proved meanwhile: {self.reports}"
                self.news.clear()
                await self.news.wait()

    async def ended(self) -> Proof:
        async with asyncio.timeout(PATIENCE):
            return await self.task
