"""Questions to an observation: plain look-ups that gates and phases share. They decide nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from config.schema import Rollout
from daemon.core.model import (
    Fresh,
    Guide,
    GuideKind,
    Judged,
    Observation,
    Open,
    Owned,
    Phase,
    Pinned,
    Proof,
    Record,
    Request,
    SmokeResult,
    SourceFound,
    Split,
    Verb,
    Version,
    Weighted,
)
from daemon.core.reasons import Reason
from daemon.core.requests import newest_first
from daemon.core.weights import FULL, rest_of, share_of

ACTIVE = frozenset(Phase) - {Phase.IDLE, Phase.ROLLED_BACK}
"""Phases in which a rollout runs."""
WITH_GUIDE_TO_CANARY = (Phase.SMOKE, Phase.SHIFTING, Phase.BAKING)
ANY_POD = "any"
"""Where an empty subset leads, in Gloo's default: to every pod of the Upstream."""
JUST_PINNED = (Reason.ADOPTED, Reason.STABLE_REPLACED)
"""Reasons of an Idle record whose split still has its witness."""


def current(seen: Observation) -> Record:
    """Return the record; gates have made sure that there is a readable one."""
    assert isinstance(seen.record, Record)
    return seen.record


def since(seen: Observation) -> datetime:
    """Return when phase and step began; a time ahead of us counts as now, a jump begins anew."""
    return running_from(seen, current(seen).since)


def running_from(seen: Observation, begun: datetime) -> datetime:
    """Return from when a running time counts: never ahead of now, never from before a jump."""
    return min(max(begun, seen.jumped_at or begun), seen.now)


# ---------------------------------------------------------------- versions


def of_version(seen: Observation, version: str | None) -> tuple[Version, ...]:
    """Return the Deployments whose pod template has this version label."""
    return tuple(it for it in seen.versions if it.version == version)


def serving(seen: Observation, version: str | None) -> int:
    """Count the ready pods behind a version's subset."""
    return sum(it.serving for it in of_version(seen, version))


def stable_can_serve(seen: Observation) -> bool:
    """Tell whether pinning everything to stable reaches a ready pod that is meant to stay."""
    return any(
        it.replicas >= 1 and it.serving >= 1 for it in of_version(seen, current(seen).stable)
    )


def canary_of(seen: Observation) -> Version | None:
    """Return the canary's Deployment, if there is exactly one that is meant to run."""
    running = [it for it in of_version(seen, current(seen).canary) if it.replicas >= 1]
    return running[0] if len(running) == 1 else None


def candidates(seen: Observation) -> tuple[Version, ...]:
    """Return the new versions, newest first, then by name; the others wait."""
    record = current(seen)
    old = {*record.known, *record.rejected, record.stable_revision}
    new = [
        it
        for it in seen.versions
        if it.revision and it.revision not in old and it.version != record.stable and it.replicas
    ]
    return tuple(sorted(new, key=lambda it: (-it.created.timestamp(), it.deployment)))


def doubled(versions: Iterable[Version]) -> str | None:
    """Name a version that two running Deployments claim, in a sentence, or None."""
    first: dict[str, str] = {}
    for it in versions:
        if it.replicas and (other := first.setdefault(it.version, it.deployment)) != it.deployment:
            return f"Deployments {other} and {it.deployment} both have version {it.version}"
    return None


def needed_pods(rollout: Rollout, seen: Observation, weight: float) -> int:
    """Return how many ready pods the canary needs at a weight: its share, at least 1."""
    if rollout.capacity == "ignore":
        return 1
    record = current(seen)
    return max(1, share_of(max(record.base, serving(seen, record.stable)), weight))


def lacking(rollout: Rollout, seen: Observation, weight: float) -> str:
    """Say what the canary lacks for a weight; empty if it has the pods, of the recorded revision.

    Pods are counted as read live; where the Deployments could not be read, nothing counts. A pod
    of another template under the same label would answer for it, unproved, so it is waited for.
    """
    record, canary = current(seen), canary_of(seen)
    if seen.fresh is Fresh.UNREADABLE:
        return f"{weight} % needs a look at the Deployments, which cannot be read"
    ready = canary.ready if canary and canary.revision == record.revision else 0
    needed = needed_pods(rollout, seen, weight)
    if canary and ready >= needed:
        if old := canary.serving - canary.ready:
            pods = "1 pod" if old == 1 else f"{old} pods"
            verb = "serves" if old == 1 else "serve"
            return f"{pods} of an older template of {record.canary} still {verb}"
        return "" if canary.settled else f"{canary.deployment} is still being rolled out"
    return f"{weight} % needs {needed} ready pods of {record.canary}, there are {ready}"


# ---------------------------------------------------------------- steps


def step_above(rollout: Rollout, weight: float) -> int:
    """Return the first step with more than this weight, else the last.

    The weight tells, not the recorded step: it holds after a take-back, for a record rebuilt from
    the route, and under a policy with other steps.
    """
    above = [i for i, step in enumerate(rollout.steps) if step.weight > weight]
    return above[0] if above else len(rollout.steps) - 1


def hold_at(rollout: Rollout, weight: float) -> timedelta:
    """Return the least time on a weight: that of the last step it has reached, else the first's."""
    return rollout.steps[max(step_at(rollout, weight), 0)].hold


def step_at(rollout: Rollout, weight: float) -> int:
    """Return the last step that a weight has reached, -1 below the first."""
    return sum(step.weight <= weight for step in rollout.steps) - 1


# ---------------------------------------------------------------- the route


def refusals(rollout: Rollout, seen: Observation, stable: str) -> tuple[str, ...]:
    """Return what forbids to begin on this route; all of it is known with a preflight only."""
    route = seen.route
    assert route is not None
    if rollout.on_unconfirmed == "scaleCanary" and route.fallback_to not in (ANY_POD, stable):
        leads = "nowhere" if route.fallback_to == "none" else f"to {route.fallback_to}"
        scaling = (
            f"onUnconfirmed: scaleCanary would cut users off: an empty subset leads {leads}; "
            "set fallbackPolicy: ANY_ENDPOINT, or onUnconfirmed: alarm"
        )
        return (*route.problems, scaling)
    return route.problems


def shares(owned: Owned) -> dict[str, float] | None:
    """Return version -> percent without zeros, or None where it cannot be told."""
    match owned:
        case Pinned(version):
            return {version: FULL}
        case Weighted(stable, canary, weight):
            both = ((stable, rest_of(weight)), (canary, weight))
            return {version: share for version, share in both if share}
        case _:
            return None


def owned_by(record: Record) -> Pinned | Weighted:
    """Return what the record says the owned route is."""
    match record.phase:
        case Phase.SHIFTING | Phase.BAKING:
            assert record.canary is not None
            return Weighted(record.stable, record.canary, record.weight)
        case Phase.FINALISING | Phase.RETIRING:
            assert record.canary is not None
            return Pinned(record.canary)
        case _:
            return Pinned(record.stable)


def guide_kind(rollout: Rollout, record: Record) -> GuideKind | None:
    """Return which route of ours stands above the owned one, by the record."""
    if record.phase in WITH_GUIDE_TO_CANARY:
        return GuideKind.HEADER if rollout.smoke else GuideKind.PRIVATE
    if record.phase in (Phase.FINALISING, Phase.ROLLING_BACK):
        return GuideKind.WITNESS
    just_pinned = record.phase is Phase.IDLE and record.reason in JUST_PINNED
    return GuideKind.WITNESS if just_pinned else None


def split_by(rollout: Rollout, record: Record) -> Split:
    """Return the whole route as the record says it is."""
    kind = guide_kind(rollout, record)
    guide = None if kind is None else Guide(kind, record.id, record.decision)
    return Split(owned_by(record), guide)


def drift(rollout: Rollout, seen: Observation) -> str | None:
    """Say how the route differs in meaning from the record, or None."""
    assert seen.route is not None
    wanted = split_by(rollout, current(seen))
    found = seen.route
    editor = f" (last edited by {found.editor})" if found.editor else ""
    if shares(found.owned) != shares(wanted.owned):
        return f"the route was changed to {told(found.owned)}, not {told(wanted.owned)}{editor}"
    if found.guide != wanted.guide:
        what = "removed" if found.guide is None else "changed"
        return f"our header or witness route was {what}{editor}"
    return None if found.guide_sound else f"our header or witness route was edited{editor}"


def told(owned: Owned) -> str:
    """Describe an owned route in a few words."""
    match owned:
        case Pinned(version):
            return f"{version} alone"
        case Weighted(stable, canary, weight):
            return f"{stable} {rest_of(weight)} %, {canary} {weight} %"
        case Open():
            return "all pods of the Upstream, without a subset"
        case _:
            return f"something that is not ours to touch: {owned.why}"


# ---------------------------------------------------------------- findings


def proof_of(seen: Observation) -> Proof | None:
    """Return the finding about the decision in force, or None."""
    record, proof = current(seen), seen.findings.proof
    if proof is None or (proof.rollout, proof.decision) != (record.id, record.decision):
        return None
    return proof


def quoted(seen: Observation) -> str:
    """Quote for an alarm what the probes got, and what the gateway says about the route."""
    proof = proof_of(seen)
    says = seen.route.gateway_says if seen.route else ""
    return (proof.detail if proof else "") + (f"; the gateway says: {says}" if says else "")


def confirmed_at(seen: Observation) -> datetime | None:
    """Return since when the data plane is known to run the decision in force, or None."""
    proof = proof_of(seen)
    return None if proof is None else proof.confirmed_at


def smoke_result(seen: Observation) -> SmokeResult | None:
    """Return the smoke test's result for this rollout and revision, of any decision."""
    record, result = current(seen), seen.findings.smoke
    if result is None or (result.rollout, result.revision) != (record.id, record.revision):
        return None
    return result


def smoke_fault(seen: Observation) -> str:
    """Return why the smoke test of the decision in force could not be run; empty if it could."""
    record, fault = current(seen), seen.findings.smoke_fault
    if fault is None or (fault.rollout, fault.decision) != (record.id, record.decision):
        return ""
    return fault.why


def unproved_for(seen: Observation) -> timedelta | None:
    """Return how long probing has gone on without proof; None once it is proved, or not begun.

    "Not yet probed" is not "unconfirmed": after a restart the time-out runs from the first probe.
    """
    proof = proof_of(seen)
    if proof is None or proof.confirmed_at is not None:
        return None
    return seen.now - max(since(seen), min(proof.first_probe_at, seen.now))


def unproved_in_reach(seen: Observation) -> timedelta | None:
    """Return how long a proof was possible and did not come: without the API server it is not.

    Neither we nor the gateway's control plane know then what the route says, and where the proxies
    are: that a split is not shown means nothing.
    """
    waited = unproved_for(seen)
    if waited is None:
        return None
    begun = seen.now - waited
    spans = (min(it.until, seen.now) - max(it.since, begun) for it in seen.outages)
    return waited - sum((it for it in spans if it > timedelta(0)), timedelta(0))


def source_found(record: Record, seen: Observation) -> SourceFound | None:
    """Return what was found to tell this rollout's versions apart, or that nothing was."""
    found = seen.findings.source
    if found is None or (found.rollout, found.revision) != (record.id, record.revision):
        return None
    return found


def source_of(rollout: Rollout, record: Record, seen: Observation) -> str:
    """Return what counts this rollout's requests; empty where the policy says it, or none does."""
    if not rollout.metrics.auto:
        return ""
    found = source_found(record, seen)
    return record.source or (found.source if found else "")


def judged(seen: Observation) -> Judged | None:
    """Return the judgement of this rollout and revision, of any decision."""
    record, finding = current(seen), seen.findings.judged
    if finding is None or (finding.rollout, finding.revision) != (record.id, record.revision):
        return None
    return finding


# ---------------------------------------------------------------- requests


def pending(seen: Observation) -> tuple[Request, ...]:
    """Return the requests that have not been handled, newest first.

    Where the record is gone its copy tells what was handled.
    """
    record = seen.record if isinstance(seen.record, Record) else seen.saved
    handled = set(record.handled) if record else set()
    new = [it for it in seen.requests if isinstance(it, Request) and it.id not in handled]
    return tuple(sorted(new, key=newest_first, reverse=True))


def pending_abort(seen: Observation) -> Request | None:
    """Return an abort for this rollout: the newest that is not handled, whatever came after it."""
    record = current(seen)
    for request in pending(seen):
        if request.verb is Verb.ABORT and request.rollout in (None, record.id):
            return request
    return None


def seen_request_ids(seen: Observation) -> Sequence[str]:
    """Return the ids of all requests that stand on the Deployments now, readable or not."""
    return [it.id for it in seen.requests]
