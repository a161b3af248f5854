"""References: kept in the policy, looked up at the last moment, never shown."""

import pytest

from config.errors import PolicyError
from config.references import Reference, Source, parse_reference, resolve_references
from config.resolved import resolve_rollout
from tests.spec.config.policies import HEAD, echo, without_smoke


@pytest.mark.parametrize(
    ("text", "source", "where"),
    [
        ("${env:PROM_URL}", Source.ENVIRONMENT, "PROM_URL"),
        ("${file:/etc/token}", Source.FILE, "/etc/token"),
        ("${secret:prom-read/token.txt}", Source.SECRET, "prom-read/token.txt"),
    ],
)
def test_a_reference_is_the_whole_value(text: str, source: Source, where: str):
    reference = parse_reference(text)

    assert reference == Reference(source, where)
    assert str(reference) == text


@pytest.mark.parametrize("text", ["", "plain", "$", "$5", "{x}", "$${env:X}", "a$$b"])
def test_everything_else_is_a_literal(text: str):
    assert parse_reference(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "x ${env:X}", "${env:X} ", "${env:X}${env:Y}", "${env:1}", "${env:}", "${env:A B}", "${file:x}",
        "${file:/a/../b}", "${file:/a\nb}", "${secret:a}", "${secret:a/..}", "${secret:a/b/c}",
        "${secret:/b}", "${vault:a/b}", "${ENV:X}", "${}", "${", "$$${env:X}",
    ],
)  # fmt: skip
def test_what_looks_like_a_reference_and_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match=r"reference|looked up|source"):
        parse_reference(text)


def test_a_value_is_looked_up_and_a_literal_is_unescaped():
    values = {"a": "${env:X}", "b": "cost: $$5", "c": "$${env:X}"}

    assert resolve_references(values, lambda reference: reference.where) == {
        "a": "X",
        "b": "cost: $5",
        "c": "${env:X}",
    }


ROLLOUT = echo(
    "gateway: {url: '${env:GATEWAY}', headers: {Authorization: '${file:/token}', price: $$5}}",
    "smoke: [{get: /, headers: {cookie: '${secret:smoke/cookie}'}}]",
    head=HEAD.replace("http://prometheus.monitoring:9090", "{url: '${env:PROM}', bearerToken: '${secret:prom/token}'}"),
    base=without_smoke(),
)  # fmt: skip

VALUES = {
    "${env:GATEWAY}": "http://gw:80",
    "${file:/token}": "Bearer hunter2\n",
    "${secret:smoke/cookie}": "a=b",
    "${env:PROM}": "https://prom/base",
    "${secret:prom/token}": "hunter3",
}


def test_a_policy_keeps_references_and_a_resolved_one_has_the_values():
    resolved = resolve_rollout(ROLLOUT, lambda reference: VALUES[str(reference)])

    assert ROLLOUT.gateway.headers["Authorization"] == "${file:/token}"
    assert resolved.gateway.url == "http://gw:80"
    assert resolved.gateway.headers == {"Authorization": "Bearer hunter2", "price": "$5"}
    assert resolved.metrics.prometheus is not None
    assert resolved.metrics.prometheus.url == "https://prom/base"
    assert resolved.metrics.prometheus.bearer_token == "hunter3"
    assert resolved.smoke is not None
    assert resolved.smoke.requests[0].headers == {"cookie": "a=b"}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        pytest.param("${env:GATEWAY}", "http://me:hunter2@gw", id="URL with a password"),
        pytest.param("${env:PROM}", "file:///hunter2", id="another scheme"),
        pytest.param("${file:/token}", "hunter2\r\nHost: x", id="a second header line"),
    ],
)
def test_what_is_looked_up_meets_the_same_rules_and_is_not_shown(reference: str, value: str):
    with pytest.raises(PolicyError) as refused:
        resolve_rollout(ROLLOUT, lambda found: (VALUES | {reference: value})[str(found)])

    assert f"what {reference} holds is not possible here" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_rollout_without_references_resolves_to_itself():
    plain = echo("metrics: {pods: {port: 8080}}", base=without_smoke())

    assert resolve_rollout(plain, lambda found: pytest.fail(f"looked up {found}")) == plain


def test_what_the_lookup_raises_passes_through():
    with pytest.raises(KeyError):
        resolve_rollout(ROLLOUT, lambda found: {}[str(found)])
