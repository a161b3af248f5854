"""Plain values for tests of the decision core: one rollout, one release, seen at one moment.

`play` carries decisions out on values alone (record and route change as the patch would change
them), so that a test can follow a whole release without any I/O.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from analysis.verdict import Ground, Judgement, Verdict
from config.load import load_policy
from config.schema import Rollout
from daemon.core.decide import decide
from daemon.core.model import (
    Decision,
    Delete,
    Findings,
    Held,
    Judged,
    Observation,
    Open,
    Owned,
    Phase,
    Pinned,
    Proof,
    Record,
    RouteSeen,
    ScaleToZero,
    SmokeResult,
    TargetKey,
    Verify,
    Version,
    Writer,
)
from daemon.core.reasons import Reason
from daemon.core.record import format_record, parse_record
from daemon.core.requests import parse_request

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = TargetKey("echo", "echo")

POLICY = """
apiVersion: crossfade.dev/v1
kind: Policy
metrics: {pods: {port: 8080}}
rollouts:
  echo:
    namespace: echo
    selector: {app: echo}
    route: {gloo: {virtualService: gloo-system/echo, upstream: gloo-system/echo}}
    smoke: ["GET / -> 200"]
    steps: [5, 25, 50, {weight: 100, bake: 10m}]
    hold: 5m
"""


def rollout(**changes: object) -> Rollout:
    """Return the policy entry of the examples, with other values where given."""
    entry = load_policy(POLICY, filename="policy.yaml").rollouts["echo"]
    return entry.model_copy(update=changes)


def version(name: str, *, ready: int = 4, age: int = 1000, **changes: object) -> Version:
    """Return a Deployment echo-<name> with ready pods, created `age` seconds before START."""
    values: dict[str, object] = {
        "deployment": f"echo-{name}",
        "uid": f"uid-{name}",
        "resource_version": "1",
        "version": name,
        "revision": f"{name}/hash-{name}",
        "settled": True,
        "replicas": 4,
        "ready": ready,
        "serving": ready,
        "created": START - timedelta(seconds=age),
    }
    return Version(**(values | changes))  # type: ignore[arg-type]


def judgement(
    verdict: Verdict,
    ground: Ground,
    message: str = "as judged",
    requests: int = 100,
    **more: float,
) -> Judgement:
    """Return a judgement of all checks; `more`: `allowed` and `excess`."""
    return Judgement(verdict, ground, message, requests, **more)


PASS = judgement(Verdict.PASS, Ground.SAFE)
FAIL = judgement(Verdict.FAIL, Ground.OVER_LIMIT, "canary failed 6 of 83 requests")
UNDECIDED = judgement(Verdict.INCONCLUSIVE, Ground.UNDECIDED)
NO_DATA = judgement(Verdict.INCONCLUSIVE, Ground.NO_DATA, "no data", 0)


@dataclass
class World:
    """A target in values: what the cluster would show, and what the work beside would find."""

    policy: Rollout = field(default_factory=rollout)
    now: datetime = START
    versions: tuple[Version, ...] = (version("v1", age=9000),)
    owned: Owned = field(default_factory=Open)
    record_text: str | None = None
    guide: object = None
    writer: Writer = field(default_factory=lambda: Writer("me"))
    findings: Findings = field(default_factory=Findings)
    request: str | None = None
    holding: Held | None = None
    route: dict[str, object] = field(default_factory=dict)
    rollouts: int = 0
    decisions: list[Decision] = field(default_factory=list)
    done: frozenset[str] = frozenset()
    extra: dict[str, object] = field(default_factory=dict)

    # ------------------------------------------------------------ looking

    def observe(self) -> Observation:
        """Return what the daemon would see now."""
        seen = RouteSeen(
            uid="route",
            resource_version="1",
            record_text=self.record_text,
            owned=self.owned,
            guide=self.guide,  # type: ignore[arg-type]
            **self.route,  # type: ignore[arg-type]
        )
        record = None if self.record_text is None else parse_record(self.record_text)
        requests = () if self.request is None else (parse_request(self.request, self.now),)
        values: dict[str, object] = {
            "key": KEY,
            "now": self.now,
            "versions": self.versions,
            "route": seen,
            "record": record,
            "writer": self.writer,
            "new_id": f"rollout-{self.rollouts + 1}",
            "policy_hash": "hash",
            "findings": self.findings,
            "requests": requests,
            "holding": self.holding,
            "done": self.done,
        }
        return Observation(**(values | self.extra))  # type: ignore[arg-type]

    @property
    def record(self) -> Record:
        """Return the record as it stands on the route."""
        assert self.record_text is not None
        record = parse_record(self.record_text)
        assert isinstance(record, Record)
        return record

    @property
    def phase(self) -> Phase:
        """Return the record's phase."""
        return self.record.phase

    # ------------------------------------------------------------ acting

    def look(self) -> Decision:
        """Decide once and carry it out on the values."""
        decision = decide(self.policy, self.observe())
        self.decisions.append(decision)
        if self.holding is None or self.holding.reason is not decision.reason:
            self.holding = Held(decision.reason, self.now)
        if decision.record is not None:
            if decision.save_policy_first:
                self.rollouts += 1
            self.record_text = format_record(decision.record)
            self.writer = Writer(self.writer.id, decision.record.epoch)
        if decision.split is not None:
            self.owned, self.guide = decision.split.owned, decision.split.guide
        for effect in decision.effects:
            self._apply(effect)
        return decision

    def _apply(self, effect: ScaleToZero | Delete) -> None:
        self.done |= {effect.uid}
        kept = []
        for it in self.versions:
            if it.uid != effect.uid:
                kept.append(it)
            elif isinstance(effect, ScaleToZero):
                kept.append(replace(it, replicas=0, ready=0, serving=0))
        self.versions = tuple(kept)

    def settle(self, most: int = 20) -> Decision:
        """Look until a look writes nothing and has no effect; return that last decision."""
        for _ in range(most):
            decision = self.look()
            if decision.record is None and not decision.effects:
                return decision
        raise AssertionError(f"still writing after {most} looks: {decision}")

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    # ------------------------------------------------------------ findings

    def prove(self) -> None:
        """Let the gateway be seen to serve the decision in force."""
        record = self.record
        proof = Proof(record.id, record.decision, self.now, self.now)
        self.findings = replace(self.findings, proof=proof)

    def fail_to_prove(self, detail: str = "1 of 2 proxies answered") -> None:
        """Let probing begin now without success."""
        record = self.record
        proof = Proof(record.id, record.decision, None, self.now, detail)
        self.findings = replace(self.findings, proof=proof)

    def smoke(self, *, passed: bool = True, message: str = "1 of 1 requests passed") -> None:
        """Let the smoke test of the decision in force end."""
        record = self.record
        assert record.revision is not None
        result = SmokeResult(record.id, record.decision, record.revision, passed, message, self.now)
        self.findings = replace(self.findings, smoke=result)

    def judge(self, result: Judgement) -> None:
        """Let the metrics of the decision in force be judged."""
        record = self.record
        assert record.revision is not None
        judged = Judged(record.id, record.decision, record.revision, result, self.now)
        self.findings = replace(self.findings, judged=judged)

    # ------------------------------------------------------------ whole stretches

    def adopt(self) -> None:
        """Bring the target to Idle, pinned to v1 and proved."""
        self.settle()
        self.prove()
        self.settle()

    def deploy(self, name: str = "v2", **changes: object) -> None:
        """Let a new Deployment appear, ready."""
        self.versions = (*self.versions, version(name, age=-len(self.versions), **changes))  # type: ignore[arg-type]

    def to_smoke(self) -> None:
        """Bring a release of v2 to Smoke, its header route written."""
        self.adopt()
        self.deploy()
        self.settle()

    def to_shifting(self) -> None:
        """Bring a release of v2 to its first step, written."""
        self.to_smoke()
        self.prove()
        self.smoke()
        self.settle()

    def next_step(self, result: Judgement = PASS) -> None:
        """Prove the step, let its hold pass, judge, and let the next decision be taken."""
        self.prove()
        self.settle()
        self.pass_time(301)
        self.judge(result)
        self.look()

    def to_baking(self) -> None:
        """Bring a release of v2 to 100 %, written."""
        self.to_shifting()
        while self.phase is Phase.SHIFTING:
            self.next_step()


def told(decision: Decision) -> list[tuple[Reason, str]]:
    """Return what a decision tells people."""
    return [(it.reason, it.message) for it in decision.notices]


def pinned(version_name: str) -> Pinned:
    """Return the owned route pinned to a version."""
    return Pinned(version_name)


__all__ = [
    "FAIL",
    "KEY",
    "NO_DATA",
    "PASS",
    "START",
    "UNDECIDED",
    "Reason",
    "Verify",
    "World",
    "judgement",
    "pinned",
    "rollout",
    "told",
    "version",
]
