"""Reads stable while nothing is rolled out, so that a rollout begins with a measure of it.

Only its own pods, or the gateway's counts of them, every `READ_SECONDS`; never the API server. In
memory only: a rollout soon after a restart knows less, which costs power at its beginning and never
safety. Nothing is judged here, and no reading reaches into a rollout.
"""

import zlib
from dataclasses import dataclass

import structlog

from analysis.errors import ProviderError
from analysis.history import History, Recent
from analysis.providers.base import Provider
from analysis.samples import Reading, close_block
from config.schema import Metrics, Rollout
from daemon.core.model import TargetKey
from daemon.reading import scope_of
from daemon.tools import Tools

READ_SECONDS = 15.0
FAILING_SECONDS = 60.0
"""Between two readings while they fail: what cannot be read may cost an attempt to find it."""
LONGEST_BLOCK_SECONDS = 2 * READ_SECONDS
"""Over a longer gap (an outage of the metrics) nobody knows what the counts are of."""


@dataclass(frozen=True, slots=True)
class AtRest:
    """Whose past is read: the version that serves everybody, and by what metrics."""

    stable: str
    stable_revision: str
    metrics: Metrics


class PastReader:
    """Reads one version's past; what it knows outlives its pauses."""

    def __init__(self, key: TargetKey, tools: Tools, of: AtRest) -> None:
        self.of = of
        self._key = key
        self._tools = tools
        self._recent = Recent()
        self._failing = False
        self._log = structlog.get_logger("crossfade").bind(target=str(key))

    def history(self) -> History:
        """Say what is known now."""
        return self._recent.history(self._tools.clock.monotonic())

    async def run(self, rollout: Rollout) -> None:
        """Read until cancelled; end at once where the policy's metrics are of no such kind."""
        await self._tools.clock.sleep(phase_of(self._key))
        provider: Provider | None = None
        before: Reading | None = None
        try:
            while True:
                try:
                    provider = provider or self._tools.provider_at_rest(rollout)
                    if provider is None:
                        return
                    scope = scope_of(self._key, rollout, self._tools, [self.of.stable])
                    reading = await provider.read(scope)
                except ProviderError as problem:
                    self._tell(str(problem))
                else:
                    self._tell("")
                    self._add(before, reading)
                    before = reading
                await self._tools.clock.sleep(FAILING_SECONDS if self._failing else READ_SECONDS)
        finally:
            if provider is not None:
                await provider.close()

    def _add(self, before: Reading | None, reading: Reading) -> None:
        if before is None or reading.at - before.at > LONGEST_BLOCK_SECONDS:
            return
        block = close_block(before, reading, stable=self.of.stable, canary=None, weight=0)
        self._recent = self._recent.add(block, reading.at)

    def _tell(self, problem: str) -> None:
        """Log a fault when it begins and when it ends; nobody is released, so nobody is in need."""
        if bool(problem) == self._failing:
            return
        self._failing = bool(problem)
        if problem:
            self._log.info("history.not_read", error=problem)
        else:
            self._log.info("history.read_again")


def phase_of(key: TargetKey) -> float:
    """Return after how many seconds a target begins, so that many do not read at once."""
    return READ_SECONDS * zlib.crc32(str(key).encode()) / 2**32
