"""`crossfade report`: a rollout as one page, from the cluster or from a saved file."""

from pathlib import Path

import pytest

from tests.cli.conftest import CONFIGMAPS, Cluster
from tests.cli.stories import bad, damaged, good, told

RATES = {"failed": bad, "went well": good}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES.keys())
async def test_a_rollout_is_written_to_standard_output(cluster: Cluster, rate: object) -> None:
    story = told(rate, looks=16)  # type: ignore[arg-type]
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())

    ran = await cluster.run("report", "echo", "-n", "echo", "-o", "html")

    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("<!doctype html>")
    assert ran.stdout.endswith("</html>\n")
    assert "echo/echo" in ran.stdout


async def test_a_saved_rollout_gives_the_same_page_without_a_cluster(
    cluster: Cluster, tmp_path: Path
) -> None:
    story = told(bad, looks=30)
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())
    saved, page = tmp_path / "echo.json", tmp_path / "echo.html"
    await cluster.run("explain", "echo", "-n", "echo", "--save", str(saved))
    live = await cluster.run("report", "echo", "-n", "echo")
    await cluster.api.stop()

    ran = await cluster.run("report", "--file", str(saved), "--to", str(page))

    assert (ran.code, ran.stdout) == (0, "")
    assert ran.stderr.startswith(f"{page}: ")
    assert page.read_text(encoding="utf-8") == live.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param((), 2, "give a TARGET or --file FILE", id="neither"),
        pytest.param(("echo", "--file", "x.json"), 2, "give a TARGET or --file", id="both"),
        pytest.param(("--file", "there/is/none.json"), 2, "No such file", id="no file"),
        pytest.param(("nobody", "-n", "echo"), 1, "echo/nobody is not adopted", id="no target"),
        pytest.param(("echo", "-o", "pdf"), 2, "'pdf' is not 'html'", id="another format"),
    ],
)
async def test_what_cannot_be_reported_is_told(
    cluster: Cluster, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = await cluster.run("report", *arguments)

    assert ran.code == code
    assert said in ran.stderr


async def test_evidence_that_is_damaged_is_told(cluster: Cluster) -> None:
    story = told(good, looks=4)
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence(**{"journal.json": damaged(story)}))

    ran = await cluster.run("report", "echo", "-n", "echo")

    assert ran.code == 1
    assert (
        "is damaged, or of another version of Crossfade; see crossfade explain echo/echo"
        in ran.stderr
    )


async def test_a_page_that_cannot_be_written_is_told(cluster: Cluster, tmp_path: Path) -> None:
    story = told(good, looks=4)
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())

    ran = await cluster.run("report", "echo", "-n", "echo", "--to", str(tmp_path))

    assert ran.code == 1
    assert "Is a directory" in ran.stderr
