"""Process settings: how an address is written, and where evidence goes."""

from pathlib import Path

import pytest

from daemon.settings import own_namespace, parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param(":8080", ("", 8080), id="every address"),
        pytest.param("127.0.0.1:0", ("127.0.0.1", 0), id="a port of the system's choice"),
        pytest.param("[::1]:8080", ("::1", 8080), id="IPv6 in brackets"),
        pytest.param("localhost:65535", ("localhost", 65535), id="the last port"),
    ],
)
def test_an_address_is_host_colon_port(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["8080", "host:", "host:http", "h:65536", "::1:80", "h:-1", "h:٣"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example :8080"):
        parse_listen(text)


def test_evidence_goes_into_the_pods_own_namespace(tmp_path: Path) -> None:
    file = tmp_path / "namespace"
    file.write_text("delivery\n")

    assert own_namespace(None, file) == "delivery"


def test_a_namespace_that_was_given_wins(tmp_path: Path) -> None:
    file = tmp_path / "namespace"
    file.write_text("delivery\n")

    assert own_namespace("crossfade", file) == "crossfade"


def test_outside_a_cluster_evidence_goes_into_default(tmp_path: Path) -> None:
    assert own_namespace(None, tmp_path / "absent") == "default"
