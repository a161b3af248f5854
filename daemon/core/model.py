"""The values of the decision core: what was seen, what is recorded, what is decided.

    Observation --decide()--> Decision(record, split, effects, work)

Everything here is frozen and plain. Times are aware datetimes of the API server's clock. Weights
are percent on the canary, spelled as core.weights says; the rest is stable's.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from analysis.verdict import Judgement
from daemon.core.reasons import Reason


class TargetKey(NamedTuple):
    """A target: an application under a policy."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Phase(StrEnum):
    """Where a rollout stands. architecture.md says what the route looks like in each."""

    IDLE = "Idle"
    PREPARING = "Preparing"
    SMOKE = "Smoke"
    SHIFTING = "Shifting"
    BAKING = "Baking"
    FINALISING = "Finalising"
    RETIRING = "Retiring"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"


# ---------------------------------------------------------------- the route


@dataclass(frozen=True, slots=True)
class Pinned:
    """The owned route sends everything to one version's subset."""

    version: str


@dataclass(frozen=True, slots=True)
class Weighted:
    """The owned route splits between two versions; `weight` is the canary's share, 0 to 100."""

    stable: str
    canary: str
    weight: float


@dataclass(frozen=True, slots=True)
class Open:
    """The owned route names the Upstream without a subset: every ready pod takes traffic."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """The owned route cannot be told, or is nothing we may touch; `why` is a sentence for a person.

    Attributes:
        identifiable: whether the one owned route is known (an abort may pin it then).
    """

    why: str
    identifiable: bool = False


Owned = Pinned | Weighted | Open | Unclear


class GuideKind(StrEnum):
    """Our own route, directly above the owned one."""

    HEADER = "header"
    """the policy's header (`stage: canary`) -> the canary"""
    PRIVATE = "private"
    """the private header -> the canary; stands in where Smoke is switched off"""
    WITNESS = "witness"
    """the private header -> the owned route's destination; proves a split without a header route"""


PROBE_HEADER = "crossfade-probe"
"""Request header of the private matcher; its value is the rollout id."""
ROLLOUT_HEADER = "x-crossfade-rollout"
DECISION_HEADER = "x-crossfade-decision"
VERSION_HEADER = "x-crossfade-version"
"""Response headers that our route adds: rollout id, decision number, the serving pod's version."""


@dataclass(frozen=True, slots=True)
class Guide:
    """Our own route as it stands, or shall stand, with the numbers in its response headers."""

    kind: GuideKind
    rollout: str
    decision: int


@dataclass(frozen=True, slots=True)
class Split:
    """What the route shall be: the owned route's destinations, our own route above it (or none)."""

    owned: Pinned | Weighted
    guide: Guide | None


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """The route object as read.

    Attributes:
        record_text: the annotation's exact text, or None where there is none.
        guide: our own route, or None.
        guide_sound: False if our route was edited by somebody (matchers, destination or numbers).
        problems: preflight sentences that forbid starting (refusals), e.g. a missing subset key.
        warnings: preflight sentences that are told and do not forbid.
        gateway_says: what the gateway's status says, for quoting; empty if it says nothing bad.
        fallback_to: where an empty subset of the Upstream leads: "any", "none", or a version.
        editor: "kubectl-edit at 2026-…", the last foreign manager of the spec, to quote on drift.
    """

    uid: str
    resource_version: str
    record_text: str | None
    owned: Owned
    guide: Guide | None
    guide_sound: bool = True
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    gateway_says: str = ""
    fallback_to: str = "any"
    editor: str = ""


# ---------------------------------------------------------------- the record


@dataclass(frozen=True, slots=True)
class Pause:
    """A person or a rule stopped forward changes."""

    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """Waiting without a verdict."""

    reason: Reason
    since: datetime


@dataclass(frozen=True, slots=True)
class Promote:
    """A promote request that is remembered until done.

    Attributes:
        skip: names of checks that have no say any more (core.skipped).
        by, reason: on whose word that is, and why; empty where nothing is skipped.
    """

    id: str
    skip: tuple[str, ...] = ()
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SmokePassed:
    """The smoke test passed under this decision."""

    decision: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The last proved split."""

    decision: int
    weight: float


@dataclass(frozen=True, slots=True)
class Retire:
    """The Deployment that Idle still has to scale down or delete."""

    deployment: str
    uid: str


@dataclass(frozen=True, slots=True)
class Record:
    """The rollout's state, kept as an annotation on the route (contracts.md section 1)."""

    id: str
    target: str
    policy: str
    stable: str
    stable_revision: str
    phase: Phase
    since: datetime
    reason: Reason
    decision: int
    epoch: int
    writer: str
    canary: str | None = None
    revision: str | None = None
    step: int = 0
    weight: float = 0
    confirmed: Confirmed | None = None
    paused: Pause | None = None
    held: Held | None = None
    promote: Promote | None = None
    smoke: SmokePassed | None = None
    base: int = 0
    known: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    handled: tuple[str, ...] = ()
    retire: Retire | None = None
    deployments: tuple[str, ...] = ()
    message: str = ""
    restored: tuple[datetime, ...] = ()
    source: str | None = None
    """what counts this rollout's requests, where the policy leaves that to us"""
    ramp_since: datetime | None = None
    """when the first weight of a ramp by budget was proved"""


@dataclass(frozen=True, slots=True)
class Damaged:
    """The annotation is there and cannot be read, or is of a newer format. It is left alone."""

    why: str


# ---------------------------------------------------------------- what was seen


@dataclass(frozen=True, slots=True)
class Outage:
    """The API server was out of our reach from one moment to another, or until now."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One Deployment of the target.

    Attributes:
        version: value of the version label in its pod template.
        revision: version label + "/" + pod-template-hash; "" while its ReplicaSet is not known yet.
        settled: observedGeneration has reached generation.
        replicas: spec.replicas (1 where absent).
        ready: ready pods of the current revision.
        serving: ready pods of this version, of any revision (more than `ready` while it rolls).
        progress_deadline: seconds, spec.progressDeadlineSeconds (600 where absent).
        request: text of the request annotation, or None.
    """

    deployment: str
    uid: str
    resource_version: str
    version: str
    revision: str
    settled: bool
    replicas: int
    ready: int
    serving: int
    created: datetime
    progress_deadline: int = 600
    request: str | None = None


class Fresh(StrEnum):
    """Where an observation's Deployments (and route) come from."""

    CACHED = "cached"
    LIVE = "live"
    UNREADABLE = "unreadable"
    """the live read of the Deployments failed although the route could be read"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What probing found about one decision.

    Attributes:
        confirmed_at: when every proxy had answered with the number, or None.
        first_probe_at: this process's first probe of that decision.
        detail: what the probes got, for the alarm ("1 of 2 proxies …"); never a body.
        sampled: the proxies could not be listed; 20 answers in a row instead.
    """

    rollout: str
    decision: int
    confirmed_at: datetime | None
    first_probe_at: datetime
    detail: str = ""
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """The smoke test's outcome; a failed one names request, expectation and what came."""

    rollout: str
    decision: int
    revision: str
    passed: bool
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SmokeFault:
    """Why the smoke test of a decision could not be run at all: no verdict on the canary."""

    rollout: str
    decision: int
    why: str


@dataclass(frozen=True, slots=True)
class SourceFound:
    """What was found to tell the versions apart, where the policy names no source of metrics.

    Attributes:
        source: as the record keeps it; empty where none was proved.
        why: how it was proved, or what to switch on.
    """

    rollout: str
    revision: str
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement, with what it belongs to."""

    rollout: str
    decision: int
    revision: str
    judgement: Judgement
    at: datetime


@dataclass(frozen=True, slots=True)
class Findings:
    """What the work beside reconcile brought back."""

    proof: Proof | None = None
    smoke: SmokeResult | None = None
    smoke_fault: SmokeFault | None = None
    judged: Judged | None = None
    source: SourceFound | None = None


class Verb(StrEnum):
    """What a person may ask for."""

    ABORT = "abort"
    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request annotation. `id` is its own, or a hash of a bare verb's text."""

    id: str
    verb: Verb
    rollout: str | None = None
    version: str | None = None
    by: str = ""
    reason: str = ""
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A request annotation that cannot be obeyed, with why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Who we are. `epoch`: the epoch we last wrote to this record with, or None if we never did."""

    id: str
    epoch: int | None = None
    lease_transitions: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a decision may depend on.

    Attributes:
        record: parsed record; None where there is no annotation.
        saved: the last record's copy from the evidence, or None; read where the record is gone.
        policy_hash: sha256 of the resolved policy entry in force for this rollout.
        policy_lost: a rollout runs, its stored policy is lost, and the file's differs.
        new_id: a fresh rollout id, should one be needed.
        holding: what this process has been held by, and since when, without having written it.
        done: uids of Deployments whose retirement this process has seen done.
        jumped_at: when the API server's time last jumped ahead; running times begin again there.
        outages: when the API server was out of reach of this process; none overlap.
    """

    key: TargetKey
    now: datetime
    versions: tuple[Version, ...]
    route: RouteSeen | None
    record: Record | Damaged | None
    writer: Writer
    new_id: str
    policy_hash: str
    findings: Findings = field(default_factory=Findings)
    requests: tuple[Request | BadRequest, ...] = ()
    saved: Record | None = None
    fresh: Fresh = Fresh.CACHED
    policy_lost: bool = False
    holding: Held | None = None
    done: frozenset[str] = frozenset()
    jumped_at: datetime | None = None
    outages: tuple[Outage, ...] = ()


# ---------------------------------------------------------------- what is decided


class Verify(StrEnum):
    """What must be read live before this decision may be carried out (decide runs again on it)."""

    NOTHING = "nothing"
    DEPLOYMENTS = "deployments"
    EVERYTHING = "deployments and route"
    PREFLIGHT = "deployments, route and what it names"
    """Before something begins. Never before a way back: it needs the route and nothing else."""


@dataclass(frozen=True, slots=True)
class ScaleToZero:
    """Scale a Deployment down, guarded by uid and resourceVersion."""

    deployment: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a Deployment, guarded by uid and resourceVersion."""

    deployment: str
    uid: str
    resource_version: str


Effect = ScaleToZero | Delete


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people: an Event and a log line, on change."""

    reason: Reason
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What shall run beside reconcile for this target, until the next decision says otherwise.

    Attributes:
        prove: probe until the split of this decision is confirmed.
        smoke: run the smoke test once the split is confirmed.
        read: read and judge metrics.
        choose: find what tells the versions apart.
        source: what was found to do so; empty where the policy says it, or nothing was found yet.
    """

    rollout: str
    decision: int
    revision: str
    weight: float
    stable: str
    stable_revision: str
    canary: str | None
    step: int
    phase: Phase
    guide: GuideKind | None
    prove: bool = False
    smoke: bool = False
    read: bool = False
    choose: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    Attributes:
        reason: why; also of "nothing to do".
        message: one sentence for people, with numbers.
        record: the record to write, or None for no write.
        split: the route to write with it, or None to leave the route as it is.
        blocked: a person has to change something; shown by status and metrics.
        next_look: look again after this long at the latest.
    """

    reason: Reason
    message: str
    next_look: timedelta
    record: Record | None = None
    split: Split | None = None
    effects: tuple[Effect, ...] = ()
    notices: tuple[Notice, ...] = ()
    work: Work | None = None
    verify: Verify = Verify.NOTHING
    blocked: bool = False
    save_policy_first: bool = False
