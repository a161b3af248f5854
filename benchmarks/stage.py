"""A sandbox with the shipped daemon, and a timeline of what happened there.

Times are the machine's wall clock, which the daemon's log lines carry too, so that a line and a
write can be compared. The timeline is read from a watch in this process: a write is noted a
millisecond or two after it was stored, never before.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from daemon.core.model import Phase, Record, TargetKey
from daemon.core.record import parse_record, record_annotation
from daemon.kube.listwatch import Change, ListWatch
from daemon.kube.objects import DEPLOYMENTS, VIRTUALSERVICES
from daemon.ports import Obj
from daemon.sandbox.api import Call
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.shipped import Fact, ShippedDaemon
from daemon.sandbox.world import World, WorldOptions

TARGET = TargetKey("echo", "echo")
DAEMON = "crossfade/"
"""How the daemon's User-Agent begins; the sandbox's own parts begin otherwise."""
STEP_SECONDS = 30.0
"""The longest that anything may take before the benchmark gives up and says what is missing."""
LOOK_SECONDS = 0.004
"""Between two questions to the gateway whether a change is live."""


@dataclass(frozen=True, slots=True)
class Write:
    """A new state of the record, and when it was seen in the store."""

    at: datetime
    record: Record


class Stage:
    """One world, one daemon, and what they did. Use as an async context manager."""

    def __init__(self, policy: Callable[[World], str], options: WorldOptions) -> None:
        self.writes: list[Write] = []
        self.facts: list[Fact] = []
        self.ready: dict[str, datetime] = {}
        """Deployment -> when its first pod was ready, which is enough for a small first step."""
        self.clock = SandboxClock()
        self.world = World(options)
        self.started_at = self.clock.now()
        self._policy = policy
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.world.__aenter__()
        self.policy = self.world.directory / "benchmark.yaml"
        self.policy.write_text(self._policy(self.world), encoding="utf-8")
        self._watching = asyncio.create_task(self._watch())  # awaited in __aexit__
        self.daemon = ShippedDaemon(self.policy, self.world.kubeconfig, told=self.facts.append)
        self.started_at = self.clock.now()
        await self.daemon.start()
        return self

    async def __aexit__(self, *problem: object) -> None:
        assert self._watching
        try:
            await self.daemon.stop()
        finally:
            self._watching.cancel()
            await asyncio.wait({self._watching})
            self.policy.unlink(missing_ok=True)
            await self.world.__aexit__(None, None, None)

    # ------------------------------------------------------------ the timeline

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for resource, changed in (
                (VIRTUALSERVICES, self._route_changed),
                (DEPLOYMENTS, self._deployment_changed),
            ):
                watch = ListWatch(
                    self.world.client,
                    resource,
                    None,
                    trim=dict,
                    changed=changed,
                    clock=self.clock,
                    rng=random.Random(1),
                )
                group.create_task(watch.run())

    def _route_changed(self, change: Change[Obj]) -> None:
        record = record_of(change.after, TARGET)
        if record is not None and (not self.writes or self.writes[-1].record != record):
            self.writes.append(Write(self.clock.now(), record))

    def _deployment_changed(self, change: Change[Obj]) -> None:
        if change.after is None:
            return
        if (change.after.get("status") or {}).get("readyReplicas"):
            self.ready.setdefault(change.key[1], self.clock.now())

    async def write(
        self,
        wanted: Callable[[Record], bool],
        what: str,
        *,
        after: int = 0,
        within: float = STEP_SECONDS,
    ) -> Write:
        """Return the first write since number `after` whose record is as wanted."""

        def found() -> Write | None:
            return next((it for it in self.writes[after:] if wanted(it.record)), None)

        await self._until(lambda: found() is not None, what, within)
        write = found()
        assert write is not None
        return write

    async def fact(self, event: str, *, after: int = 0, **wanted: str) -> Fact:
        """Return the first log line of that kind since number `after`."""

        def found() -> Fact | None:
            facts = (it for it in self.facts[after:] if it.get("event") == event)
            return next((it for it in facts if wanted.items() <= it.items()), None)

        await self._until(lambda: found() is not None, f"the daemon to log {event}")
        fact = found()
        assert fact is not None
        return fact

    async def adopted(self) -> None:
        """Wait until the daemon has taken the route over and seen it served."""
        await self.write(lambda it: it.reason == "AdoptionConfirmed", "the adoption")

    async def _until(
        self, condition: Callable[[], bool], what: str, within: float = STEP_SECONDS
    ) -> None:
        def holds() -> bool:
            if (code := self.daemon.ended) is not None:
                last = "\n".join(str(it) for it in self.facts[-5:])
                raise RuntimeError(f"the daemon ended with exit code {code}:\n{last}")
            return condition()

        await self.world.until(holds, what, within)

    # ------------------------------------------------------------ looking from outside

    async def live(self, version: str) -> datetime:
        """Return when a request with the canary header was first answered by this version."""
        async with asyncio.timeout(STEP_SECONDS):
            while (await self.world.ask("/", {"stage": "canary"})).version != version:
                await self.clock.sleep(LOOK_SECONDS)
        return self.clock.now()

    def requests(self) -> Counter[Call]:
        """Count the daemon's requests to the API server until now, without watches."""
        return Counter(
            {
                call: number
                for call, number in self.world.api.recorder.counts.items()
                if call.agent.startswith(DAEMON) and call.verb != "watch"
            }
        )


def policy_of_echo(pod_port: int, rest: str) -> str:
    """Write the policy of echo, judged by the pods' own pages; `rest` is indented by four."""
    return f"""
apiVersion: crossfade.dev/v1
kind: Policy
rollouts:
  echo:
    namespace: echo
    selector: {{app: echo}}
    route: {{gloo: {{virtualService: gloo-system/echo, upstream: gloo-system/echo}}}}
    gateway: {{url: "http://gateway-proxy.gloo-system:80", host: echo.example, path: /}}
    metrics: {{pods: {{port: {pod_port}}}}}
{rest}"""


def record_of(route: Obj | None, key: TargetKey) -> Record | None:
    """Read a target's record off a route object."""
    annotations = (route or {}).get("metadata", {}).get("annotations") or {}
    text = annotations.get(record_annotation(key))
    record = None if text is None else parse_record(text)
    return record if isinstance(record, Record) else None


def is_in(*phases: Phase) -> Callable[[Record], bool]:
    """Build the question whether a record is in one of these phases."""
    return lambda record: record.phase in phases


def seconds_between(begin: datetime, end: datetime) -> float:
    """Return the seconds from one moment to another, not less than zero."""
    return max(0.0, (end - begin).total_seconds())


def moment_of(fact: Fact) -> datetime:
    """Return when the daemon wrote a log line."""
    return datetime.fromisoformat(fact["time"])


def memory_mib(pid: int) -> float | None:
    """Return a process's resident memory, or None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next(it for it in status.splitlines() if it.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
