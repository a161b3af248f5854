"""The evidence ConfigMap: what survives a restart, what damage costs, and how often it is written."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.model import TargetKey
from daemon.core.record import format_record
from daemon.errors import ConflictError, ForbiddenError, TransientError
from daemon.evidence import (
    MANAGED_BY,
    MAX_COUNTS_BYTES,
    MAX_JOURNAL_BYTES,
    Draft,
    Evidence,
    Stored,
)
from daemon.kept import NOTHING_KEPT, Kept
from daemon.kube.objects import CONFIGMAPS
from tests.fakes.clock import START
from tests.fakes.cluster import Cluster
from tests.spec.routers import routes

KEY = TargetKey("echo", "api")
NAME = "crossfade.echo.api"
DRAFT = Draft(
    routes.ROLLOUT,
    routes.a_record(),
    ("r7f3", 17, START),
    Kept({"rollout": "r7f3", "state": "{}"}, "the journal"),
)


class Stage:
    def __init__(self) -> None:
        self.cluster = Cluster()
        self.evidence = Evidence(self.cluster, "crossfade")

    @property
    def object(self) -> Any:
        return self.cluster.objects["configmaps", "crossfade", NAME]

    async def after_restart(self) -> Stored:
        return (await Evidence(self.cluster, "crossfade").load_all())[KEY]

    def damage(self, **data: str) -> None:
        self.cluster.edit(CONFIGMAPS, "crossfade", NAME, lambda it: it["data"].update(data))

    def writes(self) -> int:
        return len([it for it in self.cluster.calls if it[0] in ("create", "replace")])


# ---------------------------------------------------------------- what survives


async def test_policy_record_proof_and_counts_survive_a_restart() -> None:
    stage = Stage()
    await stage.evidence.save(KEY, DRAFT)

    stored = await stage.after_restart()

    assert stored.rollout == routes.ROLLOUT
    assert stored.record == routes.a_record()
    assert stored.confirmed == {("r7f3", 17): START}
    assert stored.kept == Kept({"rollout": "r7f3", "state": "{}"}, "the journal")


async def test_references_are_stored_as_they_were_written() -> None:
    rollout = routes.a_rollout(gateway={"headers": {"authorization": "${env:TOKEN}"}})
    stage = Stage()

    await stage.evidence.save(KEY, replace(DRAFT, rollout=rollout))

    assert "${env:TOKEN}" in stage.object["data"]["policy.json"]


async def test_a_saved_draft_without_a_record_or_a_proof_says_nothing_of_them() -> None:
    stage = Stage()
    await stage.evidence.save(KEY, Draft(routes.ROLLOUT))

    stored = await stage.after_restart()

    assert (stored.record, stored.confirmed, stored.kept) == (None, {}, NOTHING_KEPT)


async def test_counts_past_their_bound_are_left_out_and_all_else_is_kept() -> None:
    stage = Stage()

    counts = {"state": "x" * MAX_COUNTS_BYTES}
    await stage.evidence.save(KEY, replace(DRAFT, kept=Kept(counts, "the journal")))
    stored = await stage.after_restart()

    assert stored.kept == Kept({}, "the journal")
    assert stored.confirmed == {("r7f3", 17): START}


async def test_a_journal_past_its_bound_is_left_out_and_all_else_is_kept() -> None:
    stage = Stage()

    await stage.evidence.save(KEY, replace(DRAFT, kept=Kept({}, "x" * (MAX_JOURNAL_BYTES + 1))))
    stored = await stage.after_restart()

    assert stored.kept.journal == ""
    assert stored.confirmed == {("r7f3", 17): START}


def test_all_of_a_targets_evidence_fits_into_a_configmap() -> None:
    left = 1024 * 1024 - MAX_COUNTS_BYTES - MAX_JOURNAL_BYTES

    assert left >= 256 * 1024


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize(
    ("file", "text", "lost"),
    [
        ("policy.json", "not json", "rollout"),
        ("policy.json", "[]", "rollout"),
        ("policy.json", '{"name": "echo"}', "rollout"),
        ("policy.json", "[" * 100_000, "rollout"),
        ("record.json", "{}", "record"),
        ("journal.json", "", "journal"),
        ("counts.json", "", "confirmed counts"),
        ("counts.json", '{"judge": []}', "confirmed counts"),
        ("counts.json", '{"id": 1, "decision": 2, "confirmedAt": "2026-11-24T12:00:00Z"}', "confirmed counts"),
        ("counts.json", '{"id": "a", "decision": "2", "confirmedAt": "2026-11-24T12:00:00Z"}', "confirmed counts"),
        ("counts.json", '{"id": "a", "decision": 2, "confirmedAt": "0001-01-01T00:00:00+14:00"}', "confirmed counts"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_absent_and_the_rest_is_there(
    file: str, text: str, lost: str
) -> None:
    stage = Stage()
    await stage.evidence.save(KEY, DRAFT)
    stage.damage(**{file: text})

    stored = await stage.after_restart()

    parts = {
        "rollout": stored.rollout,
        "record": stored.record,
        "confirmed": stored.confirmed,
        "counts": stored.kept.counts,
        "journal": stored.kept.journal,
    }
    assert [name for name, part in parts.items() if not part] == lost.split()


async def test_a_configmap_without_data_is_nothing_stored() -> None:
    stage = Stage()
    await stage.evidence.save(KEY, DRAFT)
    stage.cluster.edit(CONFIGMAPS, "crossfade", NAME, lambda it: it.pop("data"))

    assert await stage.after_restart() == Stored()


@pytest.mark.parametrize("name", ["other", "crossfade.nodot", "crossfadex.a.b"])
async def test_a_configmap_of_another_name_is_not_ours(name: str) -> None:
    stage = Stage()
    metadata = {"name": name, "namespace": "crossfade", "labels": dict(MANAGED_BY)}
    stage.cluster.put(CONFIGMAPS, {"metadata": metadata, "data": {}})

    assert await stage.evidence.load_all() == {}


async def test_all_pages_are_read() -> None:
    stage = Stage()
    for number in range(600):
        metadata = {
            "name": f"crossfade.echo.t{number:03d}",
            "namespace": "crossfade",
            "labels": dict(MANAGED_BY),
        }
        stage.cluster.put(CONFIGMAPS, {"metadata": metadata, "data": {}})

    assert len(await stage.evidence.load_all()) == 600


# ---------------------------------------------------------------- writing


async def test_equal_content_is_not_written_twice() -> None:
    stage = Stage()

    await stage.evidence.save(KEY, DRAFT)
    await stage.evidence.save(KEY, replace(DRAFT))

    assert stage.writes() == 1


async def test_new_content_replaces_what_we_wrote_and_nothing_older() -> None:
    stage = Stage()
    await stage.evidence.save(KEY, DRAFT)

    await stage.evidence.save(KEY, replace(DRAFT, record=routes.a_record(weight=0, decision=18)))

    assert stage.cluster.count("replace", "configmaps") == 1
    assert json.loads(stage.object["data"]["record.json"])["decision"] == 18


async def test_a_configmap_that_another_process_created_or_changed_is_written_over() -> None:
    stage = Stage()
    await Evidence(stage.cluster, "crossfade").save(KEY, Draft(routes.ROLLOUT))
    await stage.evidence.save(KEY, DRAFT)
    stage.damage(extra="somebody")

    await stage.evidence.save(KEY, replace(DRAFT, kept=Kept()))

    assert "extra" not in stage.object["data"]


async def test_a_configmap_that_was_deleted_is_created_again() -> None:
    stage = Stage()
    await stage.evidence.save(KEY, DRAFT)
    stage.cluster.take_away(CONFIGMAPS, "crossfade", NAME)

    await stage.evidence.save(KEY, replace(DRAFT, kept=Kept()))

    assert stage.object["data"]["record.json"] == format_record(routes.a_record())


@pytest.mark.parametrize("error", [ForbiddenError("may not create"), TransientError("away")])
async def test_what_could_not_be_written_is_raised_and_tried_again_with_the_next_save(
    error: Exception,
) -> None:
    stage = Stage()
    stage.cluster.fail("create", "configmaps", error)
    with pytest.raises(type(error)):
        await stage.evidence.save(KEY, DRAFT)

    await stage.evidence.save(KEY, DRAFT)

    assert NAME in [name for _, _, name in stage.cluster.objects]


async def test_a_lost_answer_of_the_first_write_is_no_conflict_for_ever() -> None:
    stage = Stage()
    stage.cluster.fail("create", "configmaps", TransientError("reset"), lost=True)
    with pytest.raises(TransientError):
        await stage.evidence.save(KEY, DRAFT)

    await stage.evidence.save(KEY, DRAFT)
    await stage.evidence.save(KEY, replace(DRAFT, confirmed=("r7f3", 17, START + timedelta(1))))

    assert (await stage.after_restart()).confirmed == {("r7f3", 17): START + timedelta(1)}


async def test_a_second_conflict_is_raised() -> None:
    stage = Stage()
    stage.cluster.put(
        CONFIGMAPS, {"metadata": {"name": NAME, "namespace": "crossfade"}, "data": {}}
    )
    stage.cluster.fail("replace", "configmaps", ConflictError("busy"))

    with pytest.raises(ConflictError):
        await stage.evidence.save(KEY, DRAFT)
