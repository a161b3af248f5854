"""The demo: three releases on the sandbox, by the shipped daemon, under users' load.

    good    v1 -> v2 is promoted, and v1 retires              no user's request fails
    bad     v3 fails 20 % of users' requests, not its smoke   taken back after a few
    smoke   v4 fails its smoke test                           no user ever meets it

Counts are the users' own: what they sent and what came back. Probes and smoke tests are not among
them. Nothing here decides anything about a release; it only deploys, watches and counts.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from config.load import load_policy
from daemon.core.model import Phase, Record, TargetKey
from daemon.core.record import parse_record, record_annotation
from daemon.errors import CrossfadeError, PermanentError
from daemon.kube.objects import DEPLOYMENTS, VIRTUALSERVICES
from daemon.sandbox.load import Answer, is_failure
from daemon.sandbox.shipped import Fact, ShippedDaemon
from daemon.sandbox.world import World, WorldOptions

KEY: Final = TargetKey("echo", "echo")
ROUTE: Final = (VIRTUALSERVICES, "gloo-system", "echo")
USERS_RPS: Final = 300.0
"""Enough that 5 % are fifteen requests a second."""
POLL_SECONDS: Final = 0.05
SEEN_SECONDS: Final = 2.0
"""Over which the share that is really seen is counted."""
STAGE_SECONDS: Final = 60.0
"""The longest a stage may take before the demo gives up and says where it stood."""
FAILED_AT_MOST: Final = 10
"""Users' requests that the bad version may cost."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One release to show, and what has to come of it."""

    name: str
    version: str
    manifest: str
    headline: str
    result: str


STAGES: Final = (
    Stage("good", "v2", "echo-v2.yaml", "a good version, v2", "promoted"),
    Stage("bad", "v3", "echo-v3.yaml", "v3 fails 20 % of its users' requests", "rolledBack"),
    Stage("smoke", "v4", "echo-v4.yaml", "v4 fails its smoke test", "rolledBack"),
)


@dataclass(slots=True)
class Ended:
    """What became of a stage, in requests of users."""

    stage: Stage
    result: str
    requests: int
    failed: int
    canary_requests: int
    seconds: float
    reason: str
    message: str

    @property
    def ok(self) -> bool:
        """Whether it was as it should be."""
        if self.result != self.stage.result:
            return False
        match self.stage.name:
            case "good":
                return self.failed == 0
            case "bad":
                return self.failed <= FAILED_AT_MOST
            case _:
                return self.canary_requests == 0 and self.failed == 0

    def as_json(self) -> dict[str, Any]:
        """Return the stage as `demo --json` prints it."""
        return {
            "name": self.stage.name,
            "result": self.result,
            "requests": self.requests,
            "failed": self.failed,
            "canaryRequests": self.canary_requests,
            "seconds": round(self.seconds, 1),
            "reason": self.reason,
        }


@dataclass(slots=True)
class Scene:
    """What there is to show at one moment.

    Attributes:
        record: as it stands on the route, or None before adoption.
        why: the sentence of the daemon's last look.
        counts: (version, status) -> users' requests of this stage.
        recent: (seconds, counts) of the last moments, oldest first.
        checks: name -> (verdict, sentence), as the daemon's last look had them.
        steps: the policy's weights.
    """

    stage: Stage | None = None
    record: Record | None = None
    reason: str = ""
    why: str = ""
    seconds: float = 0.0
    counts: Counter[Answer] = field(default_factory=Counter)
    ended: list[Ended] = field(default_factory=list)
    recent: deque[tuple[float, Counter[Answer]]] = field(default_factory=deque)
    checks: dict[str, tuple[str, str]] = field(default_factory=dict)
    steps: tuple[int, ...] = ()

    def of(self, version: str | None) -> tuple[int, int]:
        """Return (requests, failed) of a version in this stage."""
        mine = [(status, n) for (it, status), n in self.counts.items() if it == version]
        return sum(n for _, n in mine), sum(n for status, n in mine if is_failure(status))

    def count(self, counts: Counter[Answer]) -> None:
        """Take the present counts."""
        self.counts = counts
        self.recent.append((self.seconds, counts))
        while len(self.recent) > 1 and self.seconds - self.recent[0][0] > SEEN_SECONDS:
            self.recent.popleft()

    def seen(self, version: str) -> float | None:
        """Return a version's share of the last moments' requests, in percent."""
        if not self.recent:
            return None
        lately = self.counts - self.recent[0][1]
        total = lately.total()
        mine = sum(n for (it, _), n in lately.items() if it == version)
        return 100 * mine / total if total else None


class Screen(Protocol):
    """Shows the demo."""

    def say(self, text: str) -> None:
        """Print a line that stays."""
        ...

    def show(self, scene: Scene) -> None:
        """Show the present moment."""
        ...


class Demo:
    """One run of the demo."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._scene = Scene()
        self._clock_start = 0.0

    async def run(self) -> list[Ended]:
        """Play all stages; return what became of each.

        Raises:
            CrossfadeError: the sandbox or the daemon could not go on.
        """
        async with World(WorldOptions()) as world:
            self._screen.say(f"gateway {world.url} (a real Envoy), API server {world.api.url}")
            load = await world.users(USERS_RPS)
            steps = load_policy(world.manifest("policy.yaml"), filename="policy.yaml")
            self._scene.steps = tuple(it.weight for it in steps.rollouts["echo"].steps)
            policy = world.directory / "demo-policy.yaml"
            policy.write_text(world.manifest("policy.yaml"), encoding="utf-8")
            try:
                async with self._daemon(policy, world.kubeconfig) as daemon:
                    await self._adopted(world, daemon)
                    for stage in STAGES:
                        self._scene.ended.append(await self._play(stage, world, daemon))
            finally:
                await load.stop()
                policy.unlink(missing_ok=True)
        return self._scene.ended

    @asynccontextmanager
    async def _daemon(self, policy: Path, kubeconfig: Path) -> AsyncIterator[ShippedDaemon]:
        async with ShippedDaemon(policy, kubeconfig, told=self._hear) as daemon:
            yield daemon

    def _hear(self, fact: Fact) -> None:
        """Follow the daemon's canonical lines: they say why, in its own words."""
        if fact.get("event") == "rollout.decided":
            self._scene.reason = str(fact.get("reason", ""))
            self._scene.why = str(fact.get("message", ""))
            checks = fact.get("checks") or {}
            self._scene.checks = {name: (it[0], it[1]) for name, it in checks.items()}

    async def _adopted(self, world: World, daemon: ShippedDaemon) -> None:
        self._screen.say("the daemon starts and adopts the route: v1 is pinned before v2 exists")
        await self._until(world, daemon, lambda it: it is not None and _rests(it))

    async def _play(self, stage: Stage, world: World, daemon: ShippedDaemon) -> Ended:
        assert world.load is not None
        await self._until(world, daemon, lambda it: it is not None and _rests(it))
        self._scene.stage = stage
        self._screen.say(f"kubectl apply -f {stage.manifest}   ({stage.headline})")
        began = asyncio.get_running_loop().time()
        before = Counter(world.load.total.answers)
        self._clock_start, self._scene.counts = began, Counter()
        self._scene.recent.clear()
        await world.apply(world.manifest(stage.manifest))
        told = self._scene.record.id if self._scene.record else ""

        def over(record: Record | None) -> bool:
            self._scene.count(Counter(world.load.total.answers) - before)  # type: ignore[union-attr]
            return record is not None and record.id != told and _rests(record)

        record = await self._until(world, daemon, over)
        promoted = record.stable == stage.version
        if promoted:
            await self._retired(world, daemon, over)
        ended = self._ended(stage, record, promoted=promoted, began=began)
        self._screen.show(self._scene)
        return ended

    async def _retired(self, world: World, daemon: ShippedDaemon, over: Any) -> None:
        """A promoted release is done when the old Deployment is scaled to zero."""
        while True:
            old = await world.client.get(DEPLOYMENTS, KEY.namespace, "echo-v1")
            if old["spec"]["replicas"] == 0:
                return
            await self._until(world, daemon, over)
            await asyncio.sleep(POLL_SECONDS)

    def _ended(self, stage: Stage, record: Record, *, promoted: bool, began: float) -> Ended:
        counts = self._scene.counts
        return Ended(
            stage=stage,
            result="promoted" if promoted else "rolledBack",
            requests=counts.total(),
            failed=sum(n for (_, status), n in counts.items() if is_failure(status)),
            canary_requests=sum(n for (it, _), n in counts.items() if it == stage.version),
            seconds=asyncio.get_running_loop().time() - began,
            reason=str(record.reason),
            message=record.message,
        )

    async def _until(self, world: World, daemon: ShippedDaemon, done: Any) -> Record:
        """Show the present moment again and again until the record is as wanted."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STAGE_SECONDS
        while True:
            self._check(daemon)
            record = await _record(world)
            self._scene.record = record
            self._scene.seconds = loop.time() - self._clock_start if self._clock_start else 0.0
            if done(record):
                assert record is not None
                return record
            self._screen.show(self._scene)
            if loop.time() > deadline:
                where = f"{record.phase} at {record.weight} %" if record else "not adopted"
                raise PermanentError(
                    f"nothing came of it within {STAGE_SECONDS:g} s: {where}; {self._scene.why}"
                )
            await asyncio.sleep(POLL_SECONDS)

    @staticmethod
    def _check(daemon: ShippedDaemon) -> None:
        if (code := daemon.ended) is not None:
            last = "\n".join(str(it.get("text", it)) for it in list(daemon.lines)[-20:])
            raise PermanentError(f"the daemon ended with exit code {code}:\n{last}")


def _rests(record: Record) -> bool:
    """Tell whether a release is over: Idle with its witness gone, or RolledBack."""
    if record.phase is Phase.ROLLED_BACK:
        return True
    return record.phase is Phase.IDLE and record.reason not in ("Adopted", "StableReplaced")


async def _record(world: World) -> Record | None:
    resource, namespace, name = ROUTE
    try:
        route = await world.client.get(resource, namespace, name)
    except CrossfadeError:
        return None
    text = (route["metadata"].get("annotations") or {}).get(record_annotation(KEY))
    record = None if text is None else parse_record(text)
    return record if isinstance(record, Record) else None
