"""Scenes for the live tests. Every scene is watched by every monitor, whatever its test asserts."""

from typing import Any

import pytest
import pytest_asyncio

from tests.live.harness import Scene, Setting
from tests.live.monitors import violations


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Everything that begins a scene is live."""
    for item in items:
        if "begin" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.live)


@pytest_asyncio.fixture
async def begin(tmp_path):
    """Begin scenes; end them and judge their histories by all monitors afterwards.

    Arguments are those of `Setting`.
    """
    scenes: list[Scene] = []

    async def start(**setting: Any) -> Scene:
        directory = tmp_path / str(len(scenes))
        directory.mkdir()
        scene = Scene(Setting(**setting), directory)
        scenes.append(scene)
        await scene.begin()
        return scene

    yield start
    for scene in reversed(scenes):
        await scene.end()
        print(scene.story())  # noqa: T201 - pytest shows it where a test failed
    for scene in scenes:
        found = violations(scene.scribe.items, scene.policies)
        assert not found, "\n".join([*found, scene.story()])
