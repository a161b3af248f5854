"""Histories as plain values, for monitors: a good release of v2, told write by write."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from config.load import load_policy
from config.stored import policy_hash
from daemon.core.model import Confirmed, Phase, Record, Retire, SmokePassed
from daemon.core.reasons import Reason
from daemon.core.record import format_record
from tests.live.harness import ANNOTATION, policy_text
from tests.live.history import App, Commit, Life, Live

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STEPS = [{"weight": 50, "hold": "10s"}, {"weight": 100}]


def policy(**changes):
    changes = {"steps": STEPS, "bake": "10s", "after": {"drain": "5s", "keepOld": "5s"}} | changes
    [rollout] = load_policy(
        policy_text(changes, pod_port=8080), filename="p.yaml"
    ).rollouts.values()
    return rollout


POLICY = policy()
HASH = policy_hash(POLICY)
V1, V2 = App("echo-v1", "v1", uid="uid-1"), App("echo-v2", "v2", uid="uid-2")


def record(phase, at, **changes):
    values = {
        "id": "r1",
        "target": "echo",
        "policy": HASH,
        "stable": "v1",
        "stable_revision": "v1/h",
        "canary": "v2",
        "revision": "v2/h",
        "phase": phase,
        "since": START + timedelta(seconds=at),
        "reason": Reason.NEW_VERSION,
        "decision": 2,
        "epoch": 1,
        "writer": "w",
        "base": 2,
    }
    return Record(**(values | changes))


def destination(version):
    upstream = {"name": "echo", "namespace": "gloo-system"}
    return {"upstream": upstream, "subset": {"values": {"version": version}}}


def action(shares):
    if len(shares) == 1:
        return {"single": destination(next(iter(shares)))}
    members = [{"destination": destination(v), "weight": w} for v, w in shares.items()]
    return {"multi": {"destinations": members}}


def guide(it, kind, shares):
    headers = {"x-crossfade-rollout": it.id, "x-crossfade-decision": str(it.decision)}
    added = [{"header": {"key": k, "value": v}} for k, v in headers.items()]
    header = {"name": "stage", "value": "canary"}
    if kind == "witness":
        header = {"name": "crossfade-probe", "value": it.id}
    return {
        "matchers": [{"prefix": "/", "headers": [header]}],
        "routeAction": action(shares),
        "options": {"headerManipulation": {"responseHeadersToAdd": added}},
    }


def route(it, shares, kind=""):
    """A VirtualService with a record, its owned route, and ours above it."""
    owned = {"name": "echo", "matchers": [{"prefix": "/"}], "routeAction": action(shares)}
    ours = {"header": {"v2": 100}, "witness": shares}.get(kind)
    return {
        "metadata": {
            "name": "echo",
            "labels": {"team": "a"},
            "annotations": {ANNOTATION: format_record(it)},
        },
        "spec": {
            "virtualHost": {
                "domains": ["*"],
                "routes": [*([guide(it, kind, ours)] if ours else []), owned],
            }
        },
    }


def deployment(app, replicas=None):
    labels = {"app": "echo", "version": app.version}
    spec = {"template": {"metadata": {"labels": labels}}}
    spec["replicas"] = app.replicas if replicas is None else replicas
    return {"metadata": {"name": app.name, "uid": app.uid}, "spec": spec}


IDLE = record(Phase.IDLE, 0, id="r0", canary=None, revision=None, reason=Reason.ADOPTION_CONFIRMED)
PREPARING = record(Phase.PREPARING, 1)
SMOKE = record(Phase.SMOKE, 2, decision=3, reason=Reason.CANARY_READY)
HALF = record(
    Phase.SHIFTING,
    10,
    decision=4,
    weight=50,
    reason=Reason.SMOKE_PASSED,
    confirmed=Confirmed(3, 0),
    smoke=SmokePassed(3, START),
)
FULL = replace(
    HALF,
    phase=Phase.BAKING,
    since=START + timedelta(seconds=21),
    decision=5,
    step=1,
    weight=100,
    reason=Reason.ANALYSIS_PASSED,
    confirmed=Confirmed(4, 50),
)
FINAL = replace(
    FULL, phase=Phase.FINALISING, decision=6, reason=Reason.BAKED, confirmed=Confirmed(5, 100)
)
RETIRING = replace(
    FINAL, phase=Phase.RETIRING, decision=7, reason=Reason.PROMOTED, confirmed=Confirmed(6, 100)
)
DONE = replace(
    RETIRING,
    phase=Phase.IDLE,
    stable="v2",
    canary=None,
    revision=None,
    weight=0,
    step=0,
    retire=Retire("echo-v1", "uid-1"),
)
BACK = replace(
    HALF,
    phase=Phase.ROLLING_BACK,
    decision=5,
    weight=0,
    reason=Reason.ANALYSIS_FAILED,
    confirmed=Confirmed(4, 50),
    rejected=("v2/h",),
)
OVER = replace(BACK, phase=Phase.ROLLED_BACK, decision=6, confirmed=Confirmed(5, 0))


class Tale:
    """A history in the making: each write of the route follows the one before."""

    def __init__(self):
        self.items = [Life(0, "started"), Live(0, 0, 0, {"v1": 100})]
        self.object = route(IDLE, {"v1": 100})
        del self.object["metadata"]["annotations"][ANNOTATION]
        self.number = 1000

    def write(self, at, it, shares, kind="", *, actor="crossfade", apps=(V1, V2), served=0, bad=0):
        self.put(at, route(it, shares, kind), actor=actor, apps=apps, served=served, bad=bad)

    def put(self, at, obj, *, actor="crossfade", apps=(V1, V2), served=0, bad=0):
        self.number += 1
        self.items.append(
            Commit(
                version=self.number,
                at=at,
                actor=actor,
                kind="virtualservices",
                name="echo",
                old=self.object,
                new=obj,
                apps=apps,
                served={"v2": (served, bad)},
            )
        )
        self.object = obj

    def live(self, at, shares, proxy=0):
        self.items.append(Live(at, at, proxy, shares))

    def scale(self, at, app, replicas=0, *, actor="crossfade"):
        self.number += 1
        self.items.append(
            Commit(
                version=self.number,
                at=at,
                actor=actor,
                kind="deployments",
                name=app.name,
                old=deployment(app),
                new=deployment(app, replicas),
                apps=(V1, V2),
            )
        )


def to_smoke(tale):
    tale.write(0.5, IDLE, {"v1": 100}, apps=(V1,))
    tale.write(1, PREPARING, {"v1": 100})
    tale.write(2, SMOKE, {"v1": 100}, "header")


def to_half(tale):
    to_smoke(tale)
    tale.write(10, HALF, {"v1": 50, "v2": 50}, "header")
    tale.live(10.2, {"v1": 50, "v2": 50})


def to_full(tale):
    to_half(tale)
    tale.live(20, {"v1": 50, "v2": 50})
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100)
    tale.live(21.2, {"v2": 100})


def to_done(tale):
    to_full(tale)
    tale.write(32, FINAL, {"v2": 100}, "witness", served=200)
    tale.write(33, RETIRING, {"v2": 100}, served=200)
    tale.write(44, DONE, {"v2": 100}, served=300)
    tale.scale(44.1, V1)
