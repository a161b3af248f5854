"""The scenes in which Flagger and Argo Rollouts were measured, with Crossfade in them.

    python -m benchmarks.peers            # in the sandbox, and on a real Kubernetes if it is built
    python -m benchmarks.peers --quick    # shorter steps, for a look

Prints a Markdown table. The peers' figures are quoted, not measured here: one run each of Flagger
1.44.0 (its Gloo router) and Argo Rollouts at 9f8d111 (its Istio router, weights copied to Gloo) on
two cores with a real Gloo 1.22, Envoy 1.40, Kubernetes 1.34.4, Prometheus scraping every 5 s, a
hundred users' requests a second, success limit 99 %. Read all of them as sizes, not as decimals.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

import click

from benchmarks import places
from benchmarks.places import Place, Policy
from daemon.core.model import Phase, Record
from daemon.sandbox.load import Load
from tests.cluster import binaries, needs, network

USERS_RPS = 100.0
SLOWEST = 300.0
"""Seconds for a whole release; eleven steps of ten seconds and what is around them."""
OUTAGE_SECONDS = 60.0
IDLE_SECONDS = 60.0
LAST_ANSWERS = 0.5
"""Seconds for requests under way when the route changed, to be counted too."""

Opener = Callable[[Policy, float], AbstractAsyncContextManager[Place]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One row: what happens, and what the peers did (Flagger 10 s, Flagger 60 s, Argo)."""

    title: str
    peers: tuple[str, str, str]


FIRST_USER = Scene("new version -> first user's request on it", ("12 and 16 s", "119 s", "3 s"))
ALL_FAIL = Scene(
    "fails everything: failed users' requests, time exposed",
    ("328, 61 s", "3,608, 360 s", "495, 38 s"),
)
SOME_FAIL = Scene("fails 20 %: the same", ("53, 59 s", "-", "54, 30 s"))
SMOKED = Scene("fails everything, with the smoke test on: the same", ("-", "-", "-"))
GOOD = Scene("good version: done", ("135 s (11 steps)", "-", "80 s (8 steps)"))
OUTAGE = Scene(
    "metrics gone in mid-release",
    ("**rolled back** after 54 s", "-", "**aborted** after 40 s"),
)
IDLE = Scene("API requests of an idle target, a minute", ("84", "14", "0"))
COST = Scene("API requests of one good release (route writes)", ("411 in 215 s (11)", "-", "-"))
AFTER = Scene("API requests in the half minute after an abort", ("-", "-", "2,585"))
SCENES = (FIRST_USER, SMOKED, ALL_FAIL, SOME_FAIL, GOOD, OUTAGE, IDLE, COST, AFTER)

Results = dict[Scene, str]


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
        "analysis": {
            "interval": "1s",
            "checks": [{"name": "success rate", "successRate": {"atLeast": "99%"}}],
            "onNoData": {"wait": "1h", "then": "pause"},
        },
        "after": {"drain": "1s", "keepOld": "1s", "then": "scaleToZero"},
    }
    return entry | {"smoke": ["GET / -> 200"] if smoke else None}


async def measure(opened: Opener, hold: int) -> Results:
    """Play all scenes in one place."""
    results: Results = {}
    async with opened(policy(hold, smoke=True), USERS_RPS) as place:
        await idle(place, results)
        await good(place, results)
        await bad(place, results, SMOKED, "v3", "1")
        await outage(place, results)
    async with opened(policy(hold, smoke=False), USERS_RPS) as place:
        await bad(place, results, ALL_FAIL, "v2", "1")
        await bad(place, results, SOME_FAIL, "v3", "0.2")
        await after_abort(place, results)
    return results


# ---------------------------------------------------------------- scenes


async def idle(place: Place, results: Results) -> None:
    """Do nothing for a minute."""
    await places.quiet(place)
    before, _ = place.requests()
    await asyncio.sleep(IDLE_SECONDS)
    results[IDLE] = str(place.requests()[0] - before)


async def good(place: Place, results: Results) -> None:
    """Release a good v2."""
    requests, writes = place.requests()
    begun, number = place.now(), len(place.history())
    await place.deploy("v2")
    await place.until(lambda: of(place.load, "v2") > 0, "users on v2", SLOWEST)
    results[FIRST_USER] = f"{(place.now() - begun).total_seconds():.1f} s, after its smoke test"
    done = await reached(place, number, lambda it: it.phase is Phase.RETIRING)
    results[GOOD] = f"{(done - begun).total_seconds():.0f} s (11 steps)"
    await reached(place, number, lambda it: it.phase is Phase.IDLE and it.stable == "v2")
    await places.quiet(place)
    spent = place.requests()
    results[COST] = f"{spent[0] - requests} ({spent[1] - writes})"


async def bad(place: Place, results: Results, scene: Scene, version: str, rate: str) -> None:
    """Release a version that fails for users."""
    failed, number = place.load.total.failed, len(place.history())
    knobs = {"error_rate": rate} | ({} if scene is SMOKED else {"error_paths": "/work"})
    await place.deploy(version, **knobs)
    back = await reached(place, number, lambda it: it.phase is Phase.ROLLING_BACK)
    exposed = [at for at, it in place.history()[number:] if it.weight > 0]
    seconds = (back - exposed[0]).total_seconds() if exposed else 0.0
    await reached(place, number, lambda it: it.phase is Phase.ROLLED_BACK)
    await asyncio.sleep(LAST_ANSWERS)
    results[scene] = f"{place.load.total.failed - failed}, {seconds:.1f} s"


async def outage(place: Place, results: Results) -> None:
    """Take the metrics away on the third step of a good release."""
    number = len(place.history())
    await place.deploy("v5")
    await reached(place, number, lambda it: it.weight >= 15)
    await place.lose_metrics()
    await asyncio.sleep(OUTAGE_SECONDS)
    weight = place.history()[-1][1].weight
    await place.find_metrics()
    back = place.now()
    done = await reached(place, number, lambda it: it.phase in (Phase.RETIRING, Phase.ROLLED_BACK))
    ended = next(it.phase for _, it in place.history()[number:] if it.phase in ENDS)
    word = "promoted" if ended is Phase.RETIRING else "**rolled back**"
    seconds = (done - back).total_seconds()
    results[OUTAGE] = f"held at {weight} % for {OUTAGE_SECONDS:.0f} s, {word} {seconds:.0f} s later"


ENDS = (Phase.RETIRING, Phase.ROLLED_BACK)


async def after_abort(place: Place, results: Results) -> None:
    """Count what the daemon does after it took a version back."""
    await places.quiet(place)
    before, _ = place.requests()
    await asyncio.sleep(IDLE_SECONDS / 2)
    results[AFTER] = str(place.requests()[0] - before)


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
    head = ["scene", *ours, "Flagger 10s", "Flagger 60s", "Argo Rollouts 10 s"]
    rows = [head, ["---"] * len(head)]
    for scene in SCENES:
        found = [results.get(scene, "-") for results in measured.values()]
        rows.append([scene.title, *found, *scene.peers])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


async def _all(hold: int, openers: dict[str, Opener]) -> dict[str, Results]:
    return {name: await measure(opened, hold) for name, opened in openers.items()}


def _has_cluster() -> bool:
    missing = [it for it in needs.ALWAYS if it.find() is None]
    return not missing and binaries.find() is not None


@click.command()
@click.option("--quick", is_flag=True, help="Steps of two seconds instead of ten.")
def main(*, quick: bool) -> None:
    """Play the scenes and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if _has_cluster() and not network.is_inside():
        arguments = ["--quick"] if quick else []
        raise SystemExit(network.enter([sys.executable, "-m", "benchmarks.peers", *arguments]))
    openers: dict[str, Opener] = {"sandbox": places.sandbox}
    if network.is_inside():
        openers["Kubernetes"] = places.kubernetes
    else:
        click.echo("without a real Kubernetes: python -m tests.cluster.setup says why", err=True)
    click.echo(table(asyncio.run(_all(2 if quick else 10, openers))))


if __name__ == "__main__":
    main()
