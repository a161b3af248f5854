"""The scenes in which Flagger and Argo Rollouts were measured, with Crossfade in them.

    python -m benchmarks.peers            # in the sandbox, and on a real Kubernetes if it is built
    python -m benchmarks.peers --quick    # one run each, and shorter steps, for a look

Prints a Markdown table of medians, with the lowest and the highest where they differ, and writes
all samples to build/peers.json. The peers' figures are quoted, not measured here: one run each in
the same scene. The policy names no checks: who judges is what a policy gets that names none.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import median

import click

from benchmarks import places
from benchmarks.places import Place, Policy
from daemon.core.model import Phase, Record
from daemon.sandbox.load import Load
from tests.cluster import binaries, needs, network

BUILD = Path(__file__).resolve().parent.parent / "build"
USERS_RPS = 100.0
SLOWEST = 300.0
"""Seconds for a whole release; eleven steps of ten seconds and what is around them."""
OUTAGE_SECONDS = 60.0
IDLE_SECONDS = 60.0
LAST_ANSWERS = 0.5
"""Seconds for requests under way when the route changed, to be counted too."""
BAD_RUNS = 10
"""Of what takes seconds and depends on chance."""
LONG_RUNS = 3
"""Of what takes minutes and hardly differs."""
ENDS = (Phase.RETIRING, Phase.ROLLED_BACK)

Opener = Callable[[Policy, float], AbstractAsyncContextManager[Place]]
Sample = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """One row: what happens, how its figures are told, and what the peers did.

    Attributes:
        told: one placeholder for each figure of a sample.
        peers: Flagger 10 s, Flagger 60 s, Argo Rollouts 10 s.
    """

    title: str
    told: str
    peers: tuple[str, str, str]


FIRST_USER = Scene(
    "new version -> first user's request on it", "{} s", ("12 and 16 s", "119 s", "3 s")
)
SMOKED = Scene(
    "fails everything, smoke test on: users' failed requests, time exposed",
    "{}, {} s",
    ("-", "-", "-"),
)
ALL_FAIL = Scene(
    "fails everything, smoke test off: the same",
    "{}, {} s",
    ("328, 61 s", "3,608, 360 s", "495, 38 s"),
)
SOME_FAIL = Scene("fails 20 %, smoke test off: the same", "{}, {} s", ("53, 59 s", "-", "54, 30 s"))
GOOD = Scene("good version: done", "{} s (11 steps)", ("135 s (11 steps)", "-", "80 s (8 steps)"))
OUTAGE = Scene(
    "metrics gone in mid-release for a minute",
    "{} rolled back; held, {} s after they are back promoted",
    ("**rolled back** after 54 s", "-", "**aborted** after 40 s"),
)
IDLE = Scene("API requests of an idle target, a minute", "{}", ("84", "14", "0"))
COST = Scene(
    "API requests of one good release, of them route writes",
    "{}, {} (11 steps)",
    ("411 in 215 s, 11", "-", "-"),
)
AFTER = Scene("API requests in the half minute after an abort", "{}", ("-", "-", "2,585"))
SCENES = (FIRST_USER, SMOKED, ALL_FAIL, SOME_FAIL, GOOD, OUTAGE, IDLE, COST, AFTER)


class Results:
    """The samples of one place."""

    def __init__(self) -> None:
        self.samples: dict[Scene, list[Sample]] = {}

    def add(self, scene: Scene, *figures: float) -> None:
        self.samples.setdefault(scene, []).append(figures)

    def told(self, scene: Scene) -> str:
        """Tell a scene's medians, and how many runs they are of."""
        found = self.samples.get(scene, [])
        if not found:
            return "-"
        sentence = scene.told.format(*(spread(it) for it in zip(*found, strict=True)))
        return sentence + (f", n = {len(found)}" if len(found) > 1 else "")


def spread(figures: tuple[float, ...]) -> str:
    """Tell a median, with the lowest and the highest where they are told otherwise."""
    low, middle, high = (_told(it) for it in (min(figures), median(figures), max(figures)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _told(figure: float) -> str:
    return f"{figure:.1f}" if figure < 10 and figure != int(figure) else f"{figure:.0f}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How often what is played, and the seconds of a step."""

    hold: int = 10
    bad_runs: int = BAD_RUNS
    long_runs: int = LONG_RUNS


QUICK = Plan(hold=2, bad_runs=1, long_runs=1)


def policy(hold: int, *, smoke: bool) -> Policy:
    """Write the policy of the scenes: 5 % steps to 50 %, then all."""
    upward = [{"weight": weight, "hold": f"{hold}s"} for weight in range(5, 55, 5)]
    entry: Policy = {
        "namespace": "echo",
        "selector": {"app": "echo"},
        "route": {"gloo": {"virtualService": "gloo-system/echo", "upstream": "gloo-system/echo"}},
        "gateway": {
            "url": "http://gateway-proxy.gloo-system:80",
            "host": "echo.example",
            "path": "/",
        },
        "steps": [*upward, {"weight": 100}],
        "bake": f"{hold}s",
        "confirmTimeout": "20s",
        "analysis": {"interval": "1s", "onNoData": {"wait": "1h", "then": "pause"}},
        "after": {"drain": "1s", "keepOld": "1s", "then": "scaleToZero"},
    }
    return entry | {"smoke": ["GET / -> 200"] if smoke else None}


async def measure(opened: Opener, plan: Plan) -> Results:
    """Play all scenes in one place."""
    results, versions = Results(), (f"v{number}" for number in count(2))
    async with opened(policy(plan.hold, smoke=True), USERS_RPS) as place:
        await idle(place, results)
        for _ in range(plan.long_runs):
            await good(place, results, next(versions))
        for _ in range(plan.bad_runs):
            await bad(place, results, SMOKED, next(versions))
        for _ in range(plan.long_runs):
            await outage(place, results, next(versions))
    async with opened(policy(plan.hold, smoke=False), USERS_RPS) as place:
        for scene in (ALL_FAIL, SOME_FAIL):
            for _ in range(plan.bad_runs):
                await bad(place, results, scene, next(versions))
        await after_abort(place, results, next(versions))
    return results


async def measure_bad(opened: Opener, plan: Plan) -> Results:
    """Play the scenes with bad versions alone."""
    results, versions = Results(), (f"v{number}" for number in count(2))
    async with opened(policy(plan.hold, smoke=False), USERS_RPS) as place:
        for scene in (ALL_FAIL, SOME_FAIL):
            for _ in range(plan.bad_runs):
                await bad(place, results, scene, next(versions))
    return results


# ---------------------------------------------------------------- scenes


async def idle(place: Place, results: Results) -> None:
    """Do nothing for a minute."""
    await places.quiet(place)
    before, _ = place.requests()
    await asyncio.sleep(IDLE_SECONDS)
    results.add(IDLE, place.requests()[0] - before)


async def good(place: Place, results: Results, version: str) -> None:
    """Release a good version."""
    requests, writes = place.requests()
    begun, number = place.now(), len(place.history())
    await place.deploy(version)
    await place.until(lambda: of(place.load, version) > 0, f"users on {version}", SLOWEST)
    results.add(FIRST_USER, (place.now() - begun).total_seconds())
    done = await reached(place, number, lambda it: it.phase is Phase.RETIRING)
    results.add(GOOD, (done - begun).total_seconds())
    await reached(place, number, lambda it: it.phase is Phase.IDLE and it.stable == version)
    await places.quiet(place)
    spent = place.requests()
    results.add(COST, spent[0] - requests, spent[1] - writes)


async def bad(place: Place, results: Results, scene: Scene, version: str) -> None:
    """Release a version that fails for users; without a smoke test, or it passes that one."""
    failed, number = place.load.total.failed, len(place.history())
    knobs = {"error_rate": "0.2" if scene is SOME_FAIL else "1"}
    if scene is not SMOKED:
        knobs["error_paths"] = "/work"
    await place.deploy(version, **knobs)
    back = await reached(place, number, lambda it: it.phase is Phase.ROLLING_BACK)
    exposed = [at for at, it in place.history()[number:] if it.weight > 0]
    seconds = (back - exposed[0]).total_seconds() if exposed else 0.0
    await reached(place, number, lambda it: it.phase is Phase.ROLLED_BACK)
    await asyncio.sleep(LAST_ANSWERS)
    results.add(scene, place.load.total.failed - failed, seconds)
    await place.remove(version)


async def outage(place: Place, results: Results, version: str) -> None:
    """Take the metrics away on the third step of a good release."""
    number = len(place.history())
    await place.deploy(version)
    await reached(place, number, lambda it: it.weight >= 15)
    await place.lose_metrics()
    await asyncio.sleep(OUTAGE_SECONDS)
    await place.find_metrics()
    back = place.now()
    done = await reached(place, number, lambda it: it.phase in ENDS)
    rolled_back = any(it.phase is Phase.ROLLED_BACK for _, it in place.history()[number:])
    results.add(OUTAGE, float(rolled_back), (done - back).total_seconds())
    await reached(place, number, lambda it: it.phase in (Phase.IDLE, Phase.ROLLED_BACK))


async def after_abort(place: Place, results: Results, version: str) -> None:
    """Count what the daemon does in the half minute after it took a version back."""
    number = len(place.history())
    await place.deploy(version, error_rate="1", error_paths="/work")
    await reached(place, number, lambda it: it.phase is Phase.ROLLED_BACK)
    before, _ = place.requests()
    await asyncio.sleep(IDLE_SECONDS / 2)
    results.add(AFTER, place.requests()[0] - before)


def of(load: Load, version: str) -> int:
    """Count the users' requests that a version answered."""
    return load.total.of(version)


async def reached(place: Place, number: int, wanted: Callable[[Record], bool]) -> datetime:
    """Return when the first record since `number` that is wanted was seen."""

    def found() -> list[datetime]:
        return [at for at, it in place.history()[number:] if wanted(it)]

    await place.until(lambda: bool(found()), "the next phase", SLOWEST)
    return found()[0]


# ---------------------------------------------------------------- the table


def table(measured: dict[str, Results]) -> str:
    """Write the Markdown table."""
    ours = [f"Crossfade, {name}" for name in measured]
    head = ["scene", *ours, "Flagger 10 s", "Flagger 60 s", "Argo Rollouts 10 s"]
    rows = [head, ["---"] * len(head)]
    for scene in SCENES:
        found = [results.told(scene) for results in measured.values()]
        rows.append([scene.title, *found, *scene.peers])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def save(measured: dict[str, Results], path: Path) -> None:
    """Write every sample, for who wants to see more than a median."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = {
        place: {scene.title: found for scene, found in results.samples.items()}
        for place, results in measured.items()
    }
    path.write_text(json.dumps(samples, indent=1) + "\n", encoding="utf-8")


async def _all(plan: Plan, *, with_cluster: bool) -> dict[str, Results]:
    measured = {"sandbox, pods' metrics": await measure(places.sandbox, plan)}
    if with_cluster:
        measured["Kubernetes, pods' metrics"] = await measure_bad(places.kubernetes, plan)
        prometheus = places.kubernetes_with_prometheus
        name = f"Kubernetes, Prometheus every {places.SCRAPE_INTERVAL}"
        measured[name] = await measure(prometheus, plan)
    return measured


def _has_cluster() -> bool:
    missing = [it for it in needs.ALWAYS if it.find() is None]
    return not missing and binaries.find() is not None


@click.command()
@click.option("--quick", is_flag=True, help="One run each, with steps of two seconds.")
def main(*, quick: bool) -> None:
    """Play the scenes and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if _has_cluster() and not network.is_inside():
        arguments = ["--quick"] if quick else []
        raise SystemExit(network.enter([sys.executable, "-m", "benchmarks.peers", *arguments]))
    inside = network.is_inside()
    if not inside:
        click.echo("without a real Kubernetes: python -m tests.cluster.setup says why", err=True)
    measured = asyncio.run(_all(QUICK if quick else Plan(), with_cluster=inside))
    save(measured, BUILD / "peers.json")
    click.echo(table(measured))


if __name__ == "__main__":
    main()
