"""`decide` is total: no record, however forged, and no observation, however odd, raises.

Whoever may patch the route may write any record that parses; a cluster may show any Deployments.
What comes out must be one decision whose write, if any, can be read again and keeps the fence. The
scenes are drawn from a seed, many to an example: a failure names the scene.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.verdict import Finding, Ground, Verdict
from config.schema import Analysis, OnNoData, Rollout, Step
from daemon.core.decide import decide
from daemon.core.model import (
    BadRequest,
    Confirmed,
    Decision,
    Findings,
    Fresh,
    Guide,
    GuideKind,
    Held,
    Judged,
    Observation,
    Open,
    Owned,
    Pause,
    Phase,
    Pinned,
    Promote,
    Proof,
    Record,
    Request,
    Retire,
    RouteSeen,
    SmokePassed,
    SmokeResult,
    Unclear,
    Verb,
    Version,
    Weighted,
    Writer,
)
from daemon.core.reasons import Reason
from daemon.core.record import MAX_BYTES, format_record, parse_record
from daemon.core.situation import split_by
from tests.spec.core.worlds import KEY, judgement, rollout

SCENES = 40
"""Scenes drawn from one seed."""
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAMES = ("v1", "v2", "v3")
IDS = ("rollout-1", "rollout-2")
REVISIONS = ("v1/a", "v2/a", "v2/b", "v3/a", "odd")
NUMBERS = (0, 1, 2, 3, 3, 99, 2**40)
WEIGHTS = (0, 0.01, 0.35, 1, 5, 25, 37, 50, 99)
REQUEST_IDS = ("text-a", "text-b", "2026-11-24T11:00:00.000Z-1", "2026-11-24T11:30:00.000Z-2")
TEXTS = ("", "why", "<" * 42, '"' * 60, "\\" * 40)
TIMES = (
    datetime(1, 1, 1, tzinfo=UTC),
    NOW - timedelta(hours=2),
    NOW - timedelta(minutes=5),
    NOW - timedelta(seconds=30),
    NOW - timedelta(seconds=1),
    NOW,
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
)
WHOLE = rollout()


@dataclass
class Draw:
    """Draws the parts of a scene: usual ones, and odd ones as often as `oddness` says."""

    random: Random
    oddness: float = 0.5

    def one(self, choices: Sequence[Any]) -> Any:
        return self.random.choice(choices)

    def some(self, choices: Sequence[Any], most: int) -> tuple[Any, ...]:
        return tuple(self.one(choices) for _ in range(self.random.randint(0, most)))

    def maybe(self, make: Callable[[], Any], chance: float = 0.5) -> Any:
        return make() if self.random.random() < chance else None

    def yes(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    # ------------------------------------------------------------ the policy

    def policy(self) -> Rollout:
        weights = self.one([(100,), (5, 100), (10, 50, 100), (1, 25, 37, 50, 100)])
        wait = OnNoData(wait=timedelta(minutes=1), then=self.one(["pause", "rollback"]))
        undecided = self.one(["advance", "hold", "rollback"])
        return rollout(
            steps=tuple(Step(weight=it, hold=timedelta(minutes=1)) for it in weights),
            smoke=self.one([None, WHOLE.smoke]),
            stable=self.maybe(lambda: self.one(NAMES)),
            analysis=Analysis(on_no_data=wait, on_undecided=undecided),
            on_unconfirmed=self.one(["alarm", "scaleCanary"]),
            on_new_version=self.one(["restart", "queue", "ignore"]),
            on_drift=self.one(["pause", "restore"]),
            capacity=self.one(["require", "ignore"]),
            ramp=self.one(["steps", "budget"]),
        )

    # ------------------------------------------------------------ the record

    def odd(self, usual: Any, choices: Sequence[Any]) -> Any:
        """Return the usual value, or, as often as this scene is odd, any other."""
        return self.one(choices) if self.yes(self.oddness) else usual

    def record(self) -> Record:
        """Draw a record that can be read, its members from everywhere."""
        phase = self.one(list(Phase))
        canary = self.odd("v2", ["v2", "v3"])
        weight = 100 if phase in ("Baking", "Finalising", "Retiring") else 0
        resting = phase is Phase.IDLE or (phase is Phase.ROLLED_BACK and self.yes(0.2))
        revision = self.odd(f"{canary}/a", REVISIONS)
        rejected = self.some(REVISIONS, 2)
        if phase in (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING, Phase.BAKING):
            rejected = tuple(it for it in rejected if it != revision)
        return Record(
            id=self.odd("rollout-1", IDS),
            target="echo",
            policy=self.odd("hash", ["hash", "another"]),
            stable="v1",
            stable_revision=self.odd("v1/a", [*REVISIONS, ""]),
            phase=phase,
            since=self.one(TIMES),
            reason=self.one(list(Reason)),
            decision=self.one(NUMBERS),
            epoch=self.one(NUMBERS),
            writer=self.odd("me", ["me", "another"]),
            canary=None if resting else canary,
            revision=None if resting else revision,
            step=self.one(NUMBERS),
            weight=self.one(WEIGHTS) if phase is Phase.SHIFTING else weight,
            confirmed=self.maybe(lambda: Confirmed(self.one(NUMBERS), self.one(WEIGHTS))),
            paused=self.maybe(self.pause, self.oddness),
            held=self.maybe(lambda: Held(self.one(list(Reason)), self.one(TIMES))),
            promote=self.maybe(lambda: Promote(self.one(REQUEST_IDS), ("success rate",)), 0.25),
            smoke=self.maybe(lambda: SmokePassed(self.one(NUMBERS), self.one(TIMES))),
            base=self.odd(4, NUMBERS),
            known=self.some(REVISIONS, 2),
            rejected=rejected,
            handled=self.some(REQUEST_IDS, 3),
            retire=self.maybe(lambda: Retire("echo-0", "uid-0")),
            deployments=("echo-0",),
            message=self.one(TEXTS),
            restored=self.some(TIMES, 4),
            ramp_since=self.odd(None, [None, *TIMES]),
        )

    def pause(self) -> Pause:
        reason = self.one([*TEXTS, Reason.DRIFT_FIGHT, Reason.POLICY_LOST, Reason.NO_DATA])
        return Pause(reason, self.one(["", "crossfade"]), self.one(TIMES))

    # ------------------------------------------------------------ what is seen

    def seen(self, policy: Rollout) -> Observation:
        record = self.maybe(self.record, 0.9)
        route = self.maybe(lambda: self.route(policy, record), 0.98)
        return Observation(
            key=KEY,
            now=NOW,
            versions=self.versions(),
            route=route,
            record=record if route else None,
            writer=Writer("me", self.odd(None, NUMBERS), self.one([None, 7])),
            new_id="rollout-3",
            policy_hash="hash",
            findings=self.findings(record),
            requests=self.requests(),
            saved=self.maybe(self.record),
            fresh=self.odd(Fresh.LIVE, list(Fresh)),
            policy_lost=self.odd(False, [True, False]),
            holding=self.maybe(lambda: Held(self.one(list(Reason)), self.one(TIMES))),
            done=self.one([frozenset(), frozenset({"uid-0"})]),
            jumped_at=self.odd(None, TIMES),
        )

    def route(self, policy: Rollout, record: Record | None) -> RouteSeen:
        owned: Owned = self.owned()
        guide = self.maybe(
            lambda: Guide(self.one(list(GuideKind)), self.one(IDS), self.one(NUMBERS))
        )
        if record is not None and not self.yes(self.oddness):
            recorded = split_by(policy, record)
            owned, guide = recorded.owned, recorded.guide
        return RouteSeen(
            "route",
            "1",
            None if record is None else format_record(record),
            owned,
            guide,
            guide_sound=self.odd(True, [True, False]),
            problems=self.odd((), [(), ("a problem",)]),
            warnings=self.one([(), ("a warning",)]),
            gateway_says=self.one(["", "Rejected"]),
            fallback_to=self.odd("any", ["any", "none", "v1"]),
        )

    def owned(self) -> Owned:
        first, second, _ = self.random.sample(NAMES, 3)
        return self.one(
            [
                Pinned(first),
                Weighted(first, second, self.one([*WEIGHTS, 100])),
                Open(),
                Unclear("odd", identifiable=self.yes()),
            ]
        )

    def versions(self) -> tuple[Version, ...]:
        usual = [("v1", NOW - timedelta(days=9)), ("v2", NOW - timedelta(minutes=9))]
        more = [(self.one(NAMES), self.one(TIMES)) for _ in range(self.odd(0, [0, 1]))]
        named = [it for it in [*usual, *more] if not self.yes(self.oddness / 4)]
        return tuple(
            Version(
                deployment=f"echo-{i}",
                uid=f"uid-{i}",
                resource_version="1",
                version=name,
                revision=self.odd(f"{name}/a", [f"{name}/a", f"{name}/b", ""]),
                settled=self.odd(True, [True, False]),
                replicas=self.odd(4, [0, 4]),
                ready=self.odd(4, [0, 1, 4]),
                serving=self.odd(4, [0, 1, 4]),
                created=created,
            )
            for i, (name, created) in enumerate(named)
        )

    def findings(self, record: Record | None) -> Findings:
        usual = (record.id, record.decision, record.revision or "") if record else ("", 0, "")
        ids = self.odd(usual, [(self.one(IDS), self.one(NUMBERS), self.one(REVISIONS))])
        result = self.one(
            [
                judgement(Verdict.PASS, Ground.SAFE),
                judgement(Verdict.PASS, Ground.SAFE),
                judgement(Verdict.FAIL, Ground.WORSE),
                judgement(Verdict.INCONCLUSIVE, self.one(list(Ground)[3:])),
            ]
        )
        check = self.one(["success rate", "latency"])
        finding = Finding(check, result.verdict, result.ground, result.message)
        result = replace(result, findings=self.one([(), (finding,)]), allowed=self.one(WEIGHTS))
        confirmed = self.maybe(lambda: self.one(TIMES), 0.8)
        proof = Proof(ids[0], ids[1], confirmed, self.one(TIMES))
        passed = self.yes(0.8)
        smoke = SmokeResult(*ids, passed, "said", self.one(TIMES))
        judged = Judged(*ids, result, self.one(TIMES[3:]))
        return Findings(
            proof=self.maybe(lambda: proof, 0.9),
            smoke=self.maybe(lambda: smoke, 0.7),
            judged=self.maybe(lambda: judged, 0.9),
        )

    def requests(self) -> tuple[Request | BadRequest, ...]:
        ids = self.random.sample(REQUEST_IDS, self.odd(0, [0, 1, 2]))
        return tuple(
            self.one(
                [
                    BadRequest(it, "bad"),
                    Request(
                        it,
                        self.one(list(Verb)),
                        rollout=self.one([None, *IDS]),
                        version=self.one([None, *NAMES]),
                        skip=self.one([(), ("readiness",), ("success rate",)]),
                    ),
                ]
            )
            for it in ids
        )


def scenes(seed: int) -> Iterator[tuple[Rollout, Observation]]:
    draw = Draw(Random(seed))
    for _ in range(SCENES):
        draw.oddness = draw.one([0.02, 0.1, 0.5])
        policy = draw.policy()
        yield policy, draw.seen(policy)


def changes(seed: int, **changed: Any) -> Iterator[tuple[Record, Record, Decision]]:
    """Yield record before, record after and decision of every write to a rollout that stands."""
    for policy, seen in scenes(seed):
        looked = replace(seen, **changed)
        decision = decide(policy, looked)
        before, after = looked.record, decision.record
        if isinstance(before, Record) and after is not None and after.id == before.id:
            yield before, after, decision


SEEDS = st.integers(0, 2**32)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_whatever_the_record_says_and_whatever_is_seen_there_is_one_sound_decision(
    seed: int,
) -> None:
    for policy, seen in scenes(seed):
        decision = decide(policy, seen)

        assert decide(policy, seen) == decision, "equal observations, equal decisions"
        if decision.record is None:
            assert decision.split is None, "no route without its record"
            continue
        again = parse_record(format_record(decision.record))
        assert isinstance(again, Record), f"we write what we cannot read: {again}"
        assert again.writer == "me", "whoever writes signs"


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_fence_rises_with_the_writer_and_the_number_with_the_route(seed: int) -> None:
    for before, after, decision in changes(seed):
        assert before.writer == "me" or after.epoch > before.epoch
        assert (after.decision > before.decision) == (decision.split is not None)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_nothing_goes_forward_on_deployments_that_could_not_be_read(seed: int) -> None:
    back = (Phase.SHIFTING, Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    for before, after, _ in changes(seed, fresh=Fresh.UNREADABLE):
        given_up = before.phase is Phase.PREPARING and after.phase is Phase.IDLE
        assert after.weight <= before.weight
        assert after.phase == before.phase or after.phase in back or given_up


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_rejected_revision_gets_no_weight_and_a_paused_rollout_none_more(seed: int) -> None:
    for before, after, _ in changes(seed):
        if after.weight > before.weight:
            assert before.paused is None
            assert after.revision not in after.rejected


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_whatever_can_be_read_is_written_again_as_it_was_within_its_bound(seed: int) -> None:
    draw = Draw(Random(seed))
    for _ in range(SCENES):
        text = format_record(draw.record())

        read = parse_record(text)

        assert len(text) <= MAX_BYTES
        assert isinstance(read, Record)
        assert format_record(read) == text
