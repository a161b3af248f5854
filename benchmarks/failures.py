"""Bad releases that only users' traffic can tell: what they cost users, and the way back.

The scene is always the same, so that figures can be compared: no smoke test, metrics from the pods,
a look a second, 5 % first, a hundred users' requests a second; judged by the checks of a policy
that names none.
"""

from dataclasses import dataclass
from datetime import datetime

from benchmarks.gates import Gate
from benchmarks.stage import LOOK_SECONDS, Stage, is_in, moment_of, policy_of_echo, seconds_between
from daemon.core.model import DECISION_HEADER, PROBE_HEADER, Phase
from daemon.kube.objects import DEPLOYMENTS
from daemon.sandbox.world import World, WorldOptions

USERS_RPS = 100.0
FAILED_AT_MOST = 10
KINDS = (("fails everything", "1"), ("fails 20 %", "0.2"))
LAST_ANSWERS = 0.3
"""Seconds for requests under way when the route changed, to be counted too."""


@dataclass(slots=True)
class Loss:
    """One bad release: users' failed requests, and seconds from the verdict."""

    failed: float
    written: float
    live: float


RELEASE = """\
    steps:
      - {weight: 5, hold: 5m}
      - {weight: 100}
    analysis: {interval: 1s}
"""


def _policy(world: World) -> str:
    return policy_of_echo(world.pod_port, RELEASE)


async def measure(runs: int) -> list[Gate]:
    """Release bad versions of both kinds; return the figures."""
    losses: dict[str, list[Loss]] = {kind: [] for kind, _ in KINDS}
    async with Stage(_policy, WorldOptions(rps=USERS_RPS)) as stage:
        await stage.adopted()
        for number in range(runs):
            for offset, (kind, rate) in enumerate(KINDS):
                version = f"v{2 + number * len(KINDS) + offset}"
                losses[kind].append(await _release(stage, version, rate))
    every = [it for kind in losses.values() for it in kind]
    return [
        Gate(
            "failing verdict -> weights back written", "s", 0.2, tuple(it.written for it in every)
        ),
        Gate("failing verdict -> weights back live", "s", 1.0, tuple(it.live for it in every)),
        *(
            Gate(
                f"users' failed requests, a version that {kind}",
                "",
                FAILED_AT_MOST,
                tuple(it.failed for it in found),
            )
            for kind, found in losses.items()
        ),
    ]


async def _release(stage: Stage, version: str, rate: str) -> Loss:
    load = stage.world.load
    assert load is not None
    before, facts, failed = len(stage.writes), len(stage.facts), load.total.failed
    await stage.world.deploy(version, error_rate=rate, error_paths="/work")
    back = await stage.write(is_in(Phase.ROLLING_BACK), f"{version} taken back", after=before)
    live = await _served(stage, back.record.id, back.record.decision)
    verdict = moment_of(await stage.fact("check.judged", after=facts, verdict="Fail"))
    await stage.write(is_in(Phase.ROLLED_BACK), f"{version} rolled back", after=before)
    await stage.clock.sleep(LAST_ANSWERS)
    lost = load.total.failed - failed
    await stage.world.delete(DEPLOYMENTS, f"echo-{version}")
    return Loss(lost, seconds_between(verdict, back.at), seconds_between(verdict, live))


async def _served(stage: Stage, rollout: str, decision: int) -> datetime:
    """Return when the gateway first answered with this decision's number.

    Asked only once the decision is written: earlier questions would reach the canary, and count.
    """
    while (answer := await stage.world.ask("/", {PROBE_HEADER: rollout})).headers.get(
        DECISION_HEADER
    ) != str(decision):
        assert answer.status == 200
        await stage.clock.sleep(LOOK_SECONDS)
    return stage.clock.now()
