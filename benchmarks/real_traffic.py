"""What the judge does with real requests: a real Envoy, real counters, the shipped daemon.

    python -m benchmarks.real_traffic              # thirty of each kind; about half an hour
    python -m benchmarks.real_traffic --runs 3

Each kind of release is repeated on one sandbox and, with the same policy, simulated with the
product's judge. Where both agree, the larger grid of benchmarks/detection speaks of real traffic
too. Writes build/real-traffic.json.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from math import exp
from pathlib import Path
from random import Random
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from analysis.history import NOTHING_KNOWN
from analysis.judge import begin, judge, on_step
from analysis.samples import Block, Counts
from analysis.settings import settings_from
from analysis.verdict import Verdict
from benchmarks.stage import Stage, is_in, policy_of_echo
from config.load import load_policy
from config.schema import Rollout
from daemon.core.model import Phase
from daemon.kube.objects import DEPLOYMENTS
from daemon.sandbox.world import World, WorldOptions

BUILD = Path(__file__).resolve().parent.parent / "build"
WIDTH = 120

USERS_RPS = 100.0
BASE = 0.001
"""What stable fails, and a version that is as good."""
KINDS = (("fails everything", 1.0), ("fails 5 points more", BASE + 0.05), ("as good", BASE))
LAST_ANSWERS = 0.3
"""Seconds for requests under way when the route changed, to be counted too."""
LIVE_SECONDS = 0.2
"""Of a simulated way back: from the verdict to the gateway that serves it."""
LONGEST_SECONDS = 120.0
"""Of a release; its holds are 36 s."""
ANY_PORT = 8080
"""Of a policy that is only judged by."""
PODS = 2
"""Of each version, as the sandbox has them."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one release ended.

    Attributes:
        failed: users' requests that the new version failed, with those stable would have.
        seconds: from the first weight to the end.
    """

    rolled_back: bool
    failed: int
    seconds: float


RELEASE = """\
    steps:
      - {weight: 10, hold: 30s}
      - {weight: 25, hold: 3s}
      - {weight: 50, hold: 3s}
      - {weight: 100}
    bake: 1s
    analysis: {interval: 1s, minRequests: 5}
    after: {drain: 0s, keepOld: 0s, then: delete}
"""


# ---------------------------------------------------------------- real requests


def _policy(world: World) -> str:
    return policy_of_echo(world.pod_port, RELEASE)


async def measure(runs: int, told: Callable[[str], None]) -> dict[str, list[Ending]]:
    """Release so many versions of each kind, one after the other."""
    found: dict[str, list[Ending]] = {kind: [] for kind, _ in KINDS}
    async with Stage(_policy, WorldOptions(rps=USERS_RPS)) as stage:
        await stage.adopted()
        await stage.world.turn("v1", error_rate=f"{BASE}", error_paths="/work")
        version = 1
        for number in range(runs):
            for kind, rate in KINDS:
                version += 1
                ending = await _release(stage, f"v{version}", rate)
                found[kind].append(ending)
                told(f"{number + 1} of {runs}: {kind}: {ending}")
    return found


async def _release(stage: Stage, version: str, rate: float) -> Ending:
    load = stage.world.load
    assert load is not None
    before = len(stage.writes)
    await stage.world.deploy(version, error_rate=f"{rate:g}", error_paths="/work")
    first = await stage.write(lambda it: it.weight > 0, f"{version} with traffic", after=before)
    end = await stage.write(
        is_in(Phase.ROLLED_BACK, Phase.RETIRING),
        f"the end of {version}",
        after=before,
        within=LONGEST_SECONDS,
    )
    is_back = end.record.phase is Phase.ROLLED_BACK
    await stage.clock.sleep(LAST_ANSWERS)
    failed = load.total.failed_of(version)
    if is_back:
        await stage.world.delete(DEPLOYMENTS, f"echo-{version}")
    else:
        await stage.write(is_in(Phase.IDLE), f"{version} as stable", after=before)
    return Ending(is_back, failed, (end.at - first.at) / timedelta(seconds=1))


# ---------------------------------------------------------------- simulated ones


def simulate(rollout: Rollout, rate: float, seed: int) -> Ending:
    """Judge drawn requests under the same policy."""
    chance = Random(seed)
    settings = settings_from(rollout)
    state, failed, elapsed = begin(settings, 0, NOTHING_KNOWN), 0, 0
    interval = round(rollout.analysis.interval.total_seconds())
    for number, step in enumerate(rollout.steps):
        state = on_step(state, number)
        last = number == len(rollout.steps) - 1
        hold = rollout.bake if last else step.hold
        ahead = 100.0 if last else rollout.steps[number + 1].weight
        for _ in range(0, round(hold.total_seconds()), interval):
            elapsed += interval
            block = _block(chance, step.weight, interval, rate)
            failed += block.canary.failed
            state, judgement = judge(settings, state, block, {}, ahead=ahead)
            if judgement.verdict is Verdict.FAIL:
                late = _poisson(chance, USERS_RPS * step.weight / 100 * LIVE_SECONDS * rate)
                return Ending(True, failed + late, elapsed + LIVE_SECONDS)
    return Ending(False, failed, float(elapsed))


def _block(chance: Random, weight: float, seconds: int, rate: float) -> Block:
    canary = _poisson(chance, USERS_RPS * seconds * weight / 100)
    stable = _poisson(chance, USERS_RPS * seconds * (1 - weight / 100))
    arms = [
        Counts(total, sum(chance.random() < share for _ in range(total)), pods=PODS)
        for total, share in ((canary, rate), (stable, BASE))
    ]
    return Block(float(seconds), weight, *arms)


def _poisson(chance: Random, mean: float) -> int:
    """Draw by Knuth's product; means here are some hundreds at most."""
    count, product, limit = 0, chance.random(), exp(-mean)
    while product > limit:
        count += 1
        product *= chance.random()
    return count


# ---------------------------------------------------------------- the comparison


def show(real: dict[str, list[Ending]], drawn: dict[str, list[Ending]], console: Console) -> None:
    table = Table(title="real requests, and the same policy simulated", box=None, pad_edge=False)
    for place, name in enumerate(("release", "", "runs", "taken back", "failed", "seconds")):
        table.add_column(name, justify="right" if place > 1 else "left")
    for kind, _ in KINDS:
        for source, endings in (("real", real[kind]), ("simulated", drawn[kind])):
            back = sum(it.rolled_back for it in endings)
            failed = median(it.failed for it in endings)
            worst = max(it.failed for it in endings)
            seconds = median(it.seconds for it in endings)
            table.add_row(
                kind,
                source,
                str(len(endings)),
                f"{back / len(endings):.0%}",
                f"{failed:g} (most {worst})",
                f"{seconds:.1f}",
            )
    console.print(table)


def save(kinds: Sequence[tuple[str, dict[str, list[Ending]]]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {
        source: {kind: [asdict(it) for it in endings] for kind, endings in found.items()}
        for source, found in kinds
    }
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


@click.command()
@click.option("--runs", default=30, show_default=True, help="Releases of each kind.")
@click.option("--simulated", default=500, show_default=True, help="Simulated ones of each kind.")
def main(*, runs: int, simulated: int) -> None:
    """Compare the judge on real requests with the judge on simulated ones."""
    rollout = load_policy(policy_of_echo(ANY_PORT, RELEASE), filename="benchmark.yaml").rollouts[
        "echo"
    ]
    drawn = {
        kind: [simulate(rollout, rate, seed) for seed in range(simulated)] for kind, rate in KINDS
    }
    real = asyncio.run(measure(runs, lambda text: click.echo(text, err=True)))
    save((("real", real), ("simulated", drawn)), BUILD / "real-traffic.json")
    show(real, drawn, Console(width=None if sys.stdout.isatty() else WIDTH))


if __name__ == "__main__":
    main()
