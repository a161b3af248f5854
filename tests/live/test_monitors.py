"""Each monitor lets a good history pass, and names the commit of a bad one.

The histories are plain values: a good release of v2, and the same release with one thing wrong.
"""

import copy
from dataclasses import replace

import pytest

from daemon.core.model import Confirmed, Pause, SmokePassed
from daemon.core.reasons import Reason
from tests.live.harness import ANNOTATION
from tests.live.history import Apps, Blind, Life, Live
from tests.live.monitors import MONITORS, violations
from tests.live.tales import (
    BACK,
    FINAL,
    FULL,
    HALF,
    HASH,
    OVER,
    RETIRING,
    SMOKE,
    START,
    V1,
    V2,
    Tale,
    guide,
    policy,
    route,
    to_done,
    to_full,
    to_half,
    to_smoke,
)


def judged(tell, **changes):
    """The violations of a history, as names of monitors and sentences."""
    rollout = policy(**changes)
    tale = Tale()
    tell(tale)
    return violations(tale.items, {HASH: rollout})


def test_a_good_release_violates_nothing():
    assert judged(to_done) == []


def test_a_late_answer_of_a_proxy_is_cleared_by_the_next_one():
    def tell(tale):
        rolled_back_while_a_proxy_serves_the_canary(tale)
        tale.live(13.5, {"v1": 100})

    assert judged(tell) == []


def test_a_rollback_violates_nothing():
    def tell(tale):
        to_half(tale)
        tale.write(12, BACK, {"v1": 100}, "witness", served=50, bad=20)
        tale.live(12.2, {"v1": 100})
        tale.write(13, OVER, {"v1": 100})

    assert judged(tell) == []


# ---------------------------------------------------------------- violating histories


def weights_of_90(tale):
    to_half(tale)
    obj = copy.deepcopy(tale.object)
    obj["spec"]["virtualHost"]["routes"][1]["routeAction"]["multi"]["destinations"][0]["weight"] = (
        40
    )
    tale.items.pop()
    tale.items[-1] = replace(tale.items[-1], new=obj)


def share_for_nobody(tale):
    to_smoke(tale)
    tale.write(10, HALF, {"v1": 50, "v2": 50}, "header", apps=(V1,))


def label_of_a_team_changed(tale):
    to_smoke(tale)
    obj = route(HALF, {"v1": 50, "v2": 50}, "header")
    obj["metadata"]["labels"] = {}
    tale.put(10, obj)


def another_route_removed(tale):
    to_smoke(tale)
    tale.object = copy.deepcopy(tale.object)
    other = {"matchers": [{"prefix": "/other"}], "redirectAction": {"hostRedirect": "x"}}
    tale.object["spec"]["virtualHost"]["routes"].append(other)
    tale.write(10, HALF, {"v1": 50, "v2": 50}, "header")


def raise_without_pods(tale):
    to_smoke(tale)
    tale.write(10, HALF, {"v1": 50, "v2": 50}, "header", apps=(V1, replace(V2, ready=0)))
    tale.items[2:5] = [replace(it, apps=(V1, replace(V2, ready=0))) for it in tale.items[2:5]]


def raise_before_the_generation_is_observed(tale):
    to_half(tale)
    apps = (V1, replace(V2, settled=False))
    tale.items.append(Apps(15, apps))
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100, apps=apps)


def raise_unconfirmed(tale):
    to_half(tale)
    tale.write(
        21, replace(FULL, confirmed=Confirmed(3, 0)), {"v1": 0, "v2": 100}, "header", served=100
    )


def raise_without_smoke(tale):
    to_smoke(tale)
    tale.write(10, replace(HALF, smoke=None), {"v1": 50, "v2": 50}, "header")


def raise_on_smoke_of_another_decision(tale):
    to_smoke(tale)
    stale = replace(HALF, smoke=SmokePassed(2, START))
    tale.write(10, stale, {"v1": 50, "v2": 50}, "header")


def raise_with_too_few_requests(tale):
    to_half(tale)
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=9)


def raise_before_a_proxy_serves_the_step(tale):
    to_half(tale)
    tale.live(20, {"v1": 100}, proxy=1)
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100)


def raise_too_soon_after_it_was_live(tale):
    to_half(tale)
    tale.items.pop()
    tale.live(14, {"v1": 100})
    tale.live(15, {"v1": 50, "v2": 50})
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100)


def raise_without_a_reason_to(tale):
    to_half(tale)
    tale.write(21, replace(FULL, reason=Reason.HOLDING), {"v1": 0, "v2": 100}, "header", served=100)


def raise_while_paused(tale):
    to_half(tale)
    paused = replace(HALF, paused=Pause("asked for", "ada", START))
    tale.write(12, paused, {"v1": 50, "v2": 50}, "header")
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100)


def raises_without_a_hold(tale):
    to_half(tale)
    tale.write(15, FULL, {"v1": 0, "v2": 100}, "header", served=100)


def old_scaled_in_the_middle(tale):
    to_half(tale)
    tale.scale(12, V1)


def old_scaled_before_its_drain(tale):
    to_done(tale)
    *tale.items, done, scaled = tale.items
    tale.items += [replace(done, at=34), replace(scaled, at=34.1)]


def old_scaled_while_a_proxy_serves_it(tale):
    to_done(tale)
    tale.live(45, {"v1": 50, "v2": 50}, proxy=1)


def old_scaled_without_confirmation(tale):
    to_done(tale)
    unconfirmed = route(replace(RETIRING, confirmed=None), {"v2": 100})
    tale.items[-3] = replace(tale.items[-3], new=unconfirmed)


def another_deployment_scaled(tale):
    to_done(tale)
    tale.scale(45, V2)


def canary_scaled_in_a_rollback_without_policy(tale):
    to_half(tale)
    tale.write(12, BACK, {"v1": 100}, "witness", served=50, bad=20)
    tale.scale(13, V2)


def rollback_that_leaves_weight(tale):
    to_half(tale)
    tale.write(12, BACK, {"v1": 90, "v2": 10}, "witness", served=50, bad=20)


def weight_after_a_rollback(tale):
    to_half(tale)
    tale.write(12, BACK, {"v1": 100}, "witness", served=50, bad=20)
    tale.write(22, replace(HALF, decision=6), {"v1": 50, "v2": 50}, "header", served=90)


def rolled_back_while_a_proxy_serves_the_canary(tale):
    to_half(tale)
    tale.write(12, BACK, {"v1": 100}, "witness", served=50, bad=20)
    tale.write(13, OVER, {"v1": 100})
    tale.live(13.1, {"v1": 50, "v2": 50})


def rolled_back_and_a_proxy_follows_late(tale):
    rolled_back_while_a_proxy_serves_the_canary(tale)
    tale.live(14.5, {"v1": 100})


def record_of_another_weight(tale):
    to_smoke(tale)
    tale.write(10, HALF, {"v1": 75, "v2": 25}, "header")


def header_route_missing(tale):
    to_smoke(tale)
    tale.write(10, HALF, {"v1": 50, "v2": 50})


def header_route_left_over(tale):
    to_full(tale)
    tale.write(32, FINAL, {"v2": 100}, "header", served=200)


def header_route_with_an_old_number(tale):
    to_smoke(tale)
    obj = route(HALF, {"v1": 50, "v2": 50})
    ours = guide(SMOKE, "header", {"v2": 100})
    obj["spec"]["virtualHost"]["routes"].insert(0, ours)
    tale.put(10, obj)


def header_route_for_everybody(tale):
    to_smoke(tale)
    obj = route(HALF, {"v1": 50, "v2": 50}, "header")
    obj["spec"]["virtualHost"]["routes"][0]["matchers"] = [{"prefix": "/"}]
    tale.put(10, obj)


def raise_of_another_revision(tale):
    to_half(tale)
    other = replace(FULL, revision="v2/other")
    apps = (V1, replace(V2, hash="other"))
    tale.write(21, other, {"v1": 0, "v2": 100}, "header", served=100, apps=apps)


def raise_of_a_changed_template(tale):
    to_half(tale)
    apps = (V1, replace(V2, hash="new"))
    tale.items.append(Apps(15, apps))
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100, apps=apps)


def raise_beside_pods_of_another_template(tale):
    to_half(tale)
    apps = (V1, replace(V2, others=1))
    tale.items.append(Apps(15, apps))
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100, apps=apps)


def edit_overwritten_by_a_raise(tale):
    to_half(tale)
    tale.write(15, HALF, {"v1": 20, "v2": 80}, "header", actor="kubectl-edit")
    tale.live(15.1, {"v1": 20, "v2": 80})
    tale.write(26, FULL, {"v1": 0, "v2": 100}, "header", served=100)


def damaged_record_overwritten(tale):
    to_half(tale)
    obj = copy.deepcopy(tale.object)
    obj["metadata"]["annotations"][ANNOTATION] = "not a record"
    tale.put(15, obj, actor="kubectl-edit")
    tale.write(16, BACK, {"v1": 100}, "witness")


def raise_without_metrics(tale):
    to_smoke(tale)
    tale.items.append(Blind(9, "v2", True))
    tale.write(10, HALF, {"v1": 50, "v2": 50}, "header")
    tale.live(10.2, {"v1": 50, "v2": 50})
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100)


def failure_without_a_request(tale):
    to_half(tale)
    tale.write(12, BACK, {"v1": 100}, "witness", served=0)


def slow_end(tale):
    to_half(tale)
    tale.items += [Life(12, "stopping"), Life(22.5, "stopped")]


def end_with_an_error(tale):
    to_half(tale)
    tale.items += [Life(12, "stopping"), Life(13, "stopped", 1)]


def decisions_after_sigterm(tale):
    to_half(tale)
    tale.items.append(Life(20, "stopping"))
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100)
    tale.live(21.2, {"v2": 100})
    tale.write(32, FINAL, {"v2": 100}, "witness", served=200)


def write_of_a_dead_daemon(tale):
    to_half(tale)
    tale.items.append(Life(20, "killed"))
    tale.write(21, FULL, {"v1": 0, "v2": 100}, "header", served=100)


VIOLATING = [
    ("S1", weights_of_90, "the weights are [40, 50]"),
    ("S1", share_for_nobody, "50 % go to v2, which no Deployment has"),
    ("S1", label_of_a_team_changed, "something that is not ours was changed"),
    ("S1", another_route_removed, "something that is not ours was changed"),
    ("S2", raise_without_pods, "needs 1 ready pods, there were 0"),
    ("S2", raise_before_the_generation_is_observed, "needs 2 ready pods"),
    ("S3", raise_unconfirmed, "decision 4 was not confirmed"),
    ("S3", raise_without_smoke, "the smoke test of this very decision did not pass"),
    ("S3", raise_on_smoke_of_another_decision, "the smoke test of this very decision"),
    ("S3", raise_with_too_few_requests, "9 requests on this step, 10 needed"),
    ("S3", raise_before_a_proxy_serves_the_step, "proxy 1 serves {'v1': 100}"),
    ("S3", raise_too_soon_after_it_was_live, "has served this weight for 7.00 s"),
    ("S3", raise_without_a_reason_to, "raised with reason Holding"),
    ("S3", raise_while_paused, "raised while paused"),
    ("S4", raises_without_a_hold, "5.00 s after the last raise"),
    ("S5", old_scaled_in_the_middle, "taken away in Shifting"),
    ("S5", old_scaled_before_its_drain, "taken away after 1.10 s"),
    ("S5", old_scaled_while_a_proxy_serves_it, "while proxy 1 serves"),
    ("S5", old_scaled_without_confirmation, "before the final route was confirmed"),
    ("S5", another_deployment_scaled, "which does not name it"),
    ("S5", canary_scaled_in_a_rollback_without_policy, "which policy does not say"),
    ("S6", rollback_that_leaves_weight, "RollingBack does not pin to v1"),
    ("S6", weight_after_a_rollback, "v2 got 50 % after the rollback"),
    ("S6", rolled_back_while_a_proxy_serves_the_canary, "reported rolled back while proxy 0"),
    ("S6", rolled_back_and_a_proxy_follows_late, "reported rolled back while proxy 0"),
    ("S7", record_of_another_weight, "Shifting at 50 % means"),
    ("S7", header_route_missing, "has no route of ours"),
    ("S7", header_route_left_over, "takes requests without crossfade-probe"),
    ("S7", header_route_with_an_old_number, "our route carries ('r1', '3')"),
    ("S7", header_route_for_everybody, "takes requests without stage: canary"),
    ("S8", raise_of_another_revision, "proved was v2/h, raised is v2/other"),
    ("S8", raise_of_a_changed_template, "the Deployment runs ['v2/new']"),
    ("S8", raise_beside_pods_of_another_template, "1 pods of another template serve as v2"),
    ("S12", edit_overwritten_by_a_raise, "had been edited"),
    ("S12", damaged_record_overwritten, "a record that cannot be read was overwritten"),
    ("S14", raise_without_metrics, "with no metrics for the whole step"),
    ("S14", failure_without_a_request, "had answered nothing"),
    ("S19", slow_end, "it took 10.5 s to stop"),
    ("S19", end_with_an_error, "exit code 1"),
    ("S19", decisions_after_sigterm, "a new decision after SIGTERM"),
    ("S19", write_of_a_dead_daemon, "a write without a running daemon"),
]


@pytest.mark.parametrize(
    ("name", "tell", "sentence"), VIOLATING, ids=[tell.__name__ for _, tell, _ in VIOLATING]
)
def test_a_violation_is_named_with_its_commit(name, tell, sentence):
    found = [it for it in judged(tell) if it.startswith(f"{name} ")]

    assert any(sentence in it for it in found), judged(tell)
    assert all("(commit 1" in it or "(at " in it for it in found)


def test_every_monitor_is_shown_to_fail():
    shown = {name for name, _, _ in VIOLATING}

    assert {kind.name.partition(" ")[0] for kind in MONITORS} == shown


def test_an_edit_that_policy_says_to_restore_may_be_overwritten():
    def tell(tale):
        to_half(tale)
        tale.write(12, HALF, {"v1": 20, "v2": 80}, "header", actor="kubectl-edit")
        restored = replace(HALF, decision=5, restored=(START,))
        tale.write(13, restored, {"v1": 50, "v2": 50}, "header")

    assert judged(tell, onDrift="restore") == []
    assert any(it.startswith("S12") for it in judged(tell))


def test_an_edit_may_be_overwritten_when_a_person_asked_for_it():
    def tell(tale):
        to_half(tale)
        tale.write(12, HALF, {"v1": 20, "v2": 80}, "header", actor="kubectl-edit")
        resumed = replace(HALF, decision=5, handled=("resume",))
        tale.write(13, resumed, {"v1": 50, "v2": 50}, "header")

    assert judged(tell) == []


def test_a_ramp_by_budget_has_hundredths_and_no_holds():
    def tell(tale):
        to_smoke(tale)
        tale.write(10, replace(HALF, weight=0.35), {"v1": 9965, "v2": 35}, "header")
        tale.live(10.2, {"v1": 99.65, "v2": 0.35})
        more = replace(
            HALF,
            decision=5,
            weight=1.25,
            reason=Reason.RAISED_BY_BUDGET,
            confirmed=Confirmed(4, 0.35),
        )
        tale.write(11, more, {"v1": 9875, "v2": 125}, "header")

    assert judged(tell, ramp="budget", analysis={"checks": None}) == []
    assert any(it.startswith("S4") for it in judged(tell))


def test_a_sample_from_before_a_commit_says_nothing_about_it():
    def tell(tale):
        to_half(tale)
        tale.write(12, BACK, {"v1": 100}, "witness", served=50, bad=20)
        tale.write(13, OVER, {"v1": 100})
        tale.items.append(Live(13.1, 12.9, 0, {"v1": 50, "v2": 50}))
        tale.live(13.2, {"v1": 100})

    assert judged(tell) == []


def test_what_people_write_is_judged_by_no_monitor():
    def tell(tale):
        to_half(tale)
        tale.write(12, HALF, {"v1": 99}, actor="kubectl-edit")
        tale.scale(13, V1, actor="kubectl-scale")

    assert judged(tell) == []
