"""The sandbox's gateway answers as a real Gloo 1.22 did, case by case.

Agreement: the same HTTP answers (where an answer is drawn by weight, within a binomial bound), the
same state of each object, the reason by its key phrase, and the sub-status where it says Rejected.
Skipped where the recorded cases are not at hand; test_gateway_rules.py stands by itself.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.contract.gateway.world import Answer, World

CASES = Path(__file__).parents[4] / "shared" / "cases" / "gloo-golden"
NAMES = sorted(p.stem for p in CASES.glob("*.json") if not p.name.startswith("_"))
PROXY = "*v1.Proxy.gateway-proxy_gloo-system"

KEY_PHRASES = (
    "route table echo.nope missing",
    "must begin with the prefix of their parent route's matcher",
    "invalid regex",
    "require a total weight that is greater than or equal to 1",
    "route has a subset config, but the upstream does not",
    "none of the subsets in the upstream match it",
    "domain conflict",
    "DomainsNotUniqueError",
    "InvalidDestinationWarning",
    "gloo-system.nope } not found",
    "invalid destination in weighted destination list",
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not NAMES, reason="the recorded cases are not beside the repository"),
]


def read(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
async def test_gateway_answers_as_the_real_gloo_did(world: World, name: str):
    await world.apply(*read("_base-upstreams"))

    for number, stage in enumerate(read(name)["stages"]):
        await world.apply(*stage["objects"])

        assert states(world, stage["statuses"]) == expected_states(stage["statuses"]), number
        for probe in stage["probes"]:
            await assert_probe(world, probe)


async def assert_probe(world: World, probe: Any) -> None:
    request = probe["request"]
    wanted = Counter(
        {
            Answer(
                a["status"], a.get("version"), a.get("servedBy"), a.get("location"), a.get("body")
            ): a["count"]
            for a in probe["answers"]
        }
    )
    times = 20 if len(wanted) == 1 else 60
    got = await world.ask(
        request["host"],
        request["path"],
        times=times,
        method=request["method"],
        headers=request["headers"],
    )

    assert set(got) == set(wanted), request
    shares = shares_of(world, request) if len(wanted) > 1 else {}
    for answer, count in wanted.items():
        share = shares.get(answer.version, count / wanted.total())
        spread = 4.9 * (times * share * (1 - share)) ** 0.5 + 1
        assert abs(got[answer] - times * share) <= spread, (request, got)


def shares_of(world: World, request: Any) -> dict[str | None, float]:
    """The shares the weights ask for; where none do, those recorded are the measure."""
    for host in world.translation.proxy.hosts:
        if request["host"] not in host.domains or len(host.routes) != 1:
            continue
        multi = host.routes[0].action.get("routeAction", {}).get("multi")
        if multi and all("subset" in d["destination"] for d in multi["destinations"]):
            weights = [d.get("weight", 0) for d in multi["destinations"]]
            versions = [
                d["destination"]["subset"]["values"].get("version") for d in multi["destinations"]
            ]
            if sum(weights) and "v9" not in versions:
                return {v: w / sum(weights) for v, w in zip(versions, weights, strict=True)}
    return {}


def states(world: World, statuses: Any) -> dict[str, Any]:
    found = {}
    for key, status in statuses.items():
        kind, name = key.split("/")
        namespace = next(r.namespace for r in world.objects if r.kind == kind and r.name == name)
        verdict = world.verdict(kind, name, namespace)
        sub = world.translation.proxy.verdict if rejected_below(status) else None
        found[key] = (
            verdict.state.value,
            phrases(verdict.reason),
            (sub.state.value, phrases(sub.reason)) if sub else None,
        )
    return found


def expected_states(statuses: Any) -> dict[str, Any]:
    return {
        key: (
            status["state"],
            phrases(status.get("reason", "")),
            (below["state"], phrases(below["reason"]))
            if (below := rejected_below(status))
            else None,
        )
        for key, status in statuses.items()
    }


def rejected_below(status: Any) -> Any:
    below = status.get("subresourceStatuses", {}).get(PROXY, {})
    return below if below.get("state") == "Rejected" else None


def phrases(reason: str) -> set[str]:
    names = set(re.findall(r"Route Name: (\S+)", reason))
    return {p for p in KEY_PHRASES if p in reason} | names
