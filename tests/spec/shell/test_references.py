"""References: looked up where they stand, and told by name where they cannot be."""

from pathlib import Path

import pytest

from config.references import Source, parse_reference
from config.schema import PrometheusSource
from daemon import references
from daemon.errors import PermanentError
from daemon.prometheus import prometheus_provider
from daemon.references import MAX_VALUE_BYTES, file_of, read_reference, resolved
from tests.fakes.clock import VirtualClock
from tests.spec.routers import routes


def test_an_environment_variable_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "planted")

    assert read_reference(parse_reference("${env:TOKEN}")) == "planted"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("TOKEN", value)

    with pytest.raises(PermanentError, match=r"\$\{env:TOKEN\}"):
        read_reference(parse_reference("${env:TOKEN}"))


def test_a_file_is_read_without_the_newline_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("planted\n")

    assert read_reference(parse_reference(f"${{file:{tmp_path}/token}}")) == "planted"


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x" * (MAX_VALUE_BYTES + 5))

    assert len(read_reference(parse_reference(f"${{file:{tmp_path}/token}}"))) == MAX_VALUE_BYTES


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named_without_its_content(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)

    with pytest.raises(PermanentError, match="token cannot be read"):
        read_reference(parse_reference(f"${{file:{tmp_path}/token}}"))


def test_a_secret_is_a_mounted_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(references, "SECRETS", tmp_path)
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "prometheus" / "token").write_text("planted")
    reference = parse_reference("${secret:prometheus/token}")

    assert reference.source is Source.SECRET
    assert file_of(reference) == tmp_path / "prometheus" / "token"
    assert read_reference(reference) == "planted"


def test_a_rollout_is_resolved_for_use_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "planted")
    rollout = routes.a_rollout(gateway={"headers": {"authorization": "${env:TOKEN}"}})

    assert resolved(rollout).gateway.headers == {"authorization": "planted"}


def test_what_a_reference_must_not_become_is_a_permanent_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN", "two\nlines")
    rollout = routes.a_rollout(gateway={"headers": {"authorization": "${env:TOKEN}"}})

    with pytest.raises(PermanentError):
        resolved(rollout)


# ---------------------------------------------------------------- the Prometheus provider


def source(token: str | None) -> PrometheusSource:
    values = {"url": "http://127.0.0.1:9", "bearerToken": token}
    return PrometheusSource.model_validate({k: v for k, v in values.items() if v is not None})


@pytest.mark.parametrize("token", [None, "${env:TOKEN}", "${file:/nowhere/token}"])
async def test_a_provider_is_built_with_its_token_or_without(
    monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    monkeypatch.setenv("TOKEN", "planted")

    provider = prometheus_provider(source(token), VirtualClock(), 1.0)
    await provider.close()


async def test_a_token_that_the_environment_lacks_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)

    with pytest.raises(Exception, match=r"\$\{env:TOKEN\}"):
        prometheus_provider(source("${env:TOKEN}"), VirtualClock(), 1.0)
