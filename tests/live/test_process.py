"""The daemon as a process: started, stopped, started again, and what does not end it."""

from daemon import reconcile
from daemon.core.model import Phase
from daemon.core.reasons import Reason


async def test_the_shipped_daemon_releases_a_version_and_ends_on_sigterm(begin):
    scene = await begin(process=True)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.RETIRING)
    await scene.reaches(Phase.IDLE)

    code = await scene.stop()

    assert code == 0
    assert scene.failed == 0


async def test_stopped_in_the_middle_it_goes_on_where_it_was_after_its_start(begin):
    scene = await begin(process=True)
    await scene.adopted()
    await scene.deploy("v2")
    before = await scene.reaches(Phase.SHIFTING)

    code = await scene.stop()
    await scene.start()
    taken = await scene.reaches(where=lambda it: it.writer != before.writer)
    end = await scene.reaches(Phase.RETIRING)

    assert code == 0
    assert (taken.id, taken.epoch) == (before.id, before.epoch + 1)
    assert end.id == before.id
    assert scene.failed == 0


async def test_a_bug_in_one_look_ends_neither_the_daemon_nor_its_other_looks(begin, monkeypatch):
    decide, left = reconcile.decide, [2]

    def broken(rollout, seen):
        if left[0]:
            left[0] -= 1
            raise KeyError("nobody thought of this")
        return decide(rollout, seen)

    monkeypatch.setattr(reconcile, "decide", broken)
    scene = await begin()

    adopted = await scene.reaches(Phase.IDLE, reason=Reason.ADOPTED)

    assert adopted.stable == "v1"
    assert any("nobody thought of this" in str(it) for it in scene.daemon.lines)
