"""The policy file: read whole, and looked at again when it is another one."""

from pathlib import Path

import pytest

from config.errors import PolicyError
from daemon.policyfile import PolicyFile
from tests.spec.core.worlds import POLICY


def written(path: Path, text: str = POLICY) -> PolicyFile:
    path.write_text(text)
    return PolicyFile(path)


def test_a_file_is_read_as_a_policy(tmp_path: Path) -> None:
    policy = written(tmp_path / "policy.yaml").load()

    assert list(policy.rollouts) == ["echo"]


def test_a_file_that_was_read_has_not_changed(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.yaml")
    file.load()

    assert not file.changed()


def test_a_file_that_was_never_read_has_changed(tmp_path: Path) -> None:
    assert written(tmp_path / "policy.yaml").changed()


def test_a_file_with_other_content_has_changed(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.yaml")
    file.load()
    (tmp_path / "policy.yaml").write_text(POLICY + "\n# more\n")

    assert file.changed()


def test_a_link_that_leads_to_another_file_has_changed(tmp_path: Path) -> None:
    # A mounted ConfigMap is a link to a directory that is swapped as a whole.
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(POLICY)
    link = tmp_path / "..data"
    link.symlink_to("one")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    file = PolicyFile(tmp_path / "policy.yaml")
    file.load()
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(link)

    assert file.changed()


def test_a_file_that_went_away_has_changed_and_cannot_be_read(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.yaml")
    file.load()
    (tmp_path / "policy.yaml").unlink()

    assert file.changed()
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        file.load()


def test_a_mistake_is_told_with_the_files_name(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.yaml", "apiVersion: crossfade.dev/v7\n")

    with pytest.raises(PolicyError, match=r"policy\.yaml"):
        file.load()


def test_a_bad_file_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.yaml", "kind: Nothing\n")
    with pytest.raises(PolicyError):
        file.load()

    assert not file.changed()


def test_a_file_that_is_far_too_long_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "policy.yaml", "#" * 400_000)

    with pytest.raises(PolicyError):
        file.load()
