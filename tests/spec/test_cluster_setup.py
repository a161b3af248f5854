"""Where the cluster suite may be left out, and where that is a fault."""

import os
import sys

import pytest

from tests.cluster import binaries, needs, setup


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with root and Go, on which Kubernetes was not built yet, and etcd is missing."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(needs, "go_version", lambda: needs.GO_MINIMUM)
    monkeypatch.setattr(binaries, "find", lambda: None)
    monkeypatch.setattr(setup, "prepare", lambda: ["etcd: apt-get install etcd-server"])


def test_with_root_and_go_something_missing_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(where_possible=True) == 1
    assert "etcd: apt-get install etcd-server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lack", "said"),
    [
        pytest.param((sys, "platform", "darwin"), "Linux", id="another system"),
        pytest.param((os, "geteuid", lambda: 1000), "root", id="no root"),
        pytest.param((needs, "go_version", lambda: None), "Go 1.25", id="no Go"),
        pytest.param((needs, "go_version", lambda: (1, 24)), "Go 1.25", id="an old Go"),
    ],
)
def test_what_nobody_can_install_excuses_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lack: tuple[object, str, object],
    said: str,
) -> None:
    monkeypatch.setattr(*lack)

    assert setup.main(where_possible=True) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("LEFT OUT")
    assert said in line


def test_a_person_who_asks_for_the_suite_is_told_all_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert setup.main() == 1
    assert "etcd: apt-get install etcd-server" in capsys.readouterr().err


def test_what_was_built_before_needs_no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "go_version", lambda: None)

    assert needs.excuses(built=True) == []
    assert needs.excuses(built=False) == ["Go 1.25 or newer"]


def test_where_all_is_there_the_suite_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "prepare", list)

    assert setup.main(where_possible=True) is None
