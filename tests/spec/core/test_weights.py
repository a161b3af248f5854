"""Weights as numbers: hundredths of a percent, and whole numbers without decimals."""

import pytest

from daemon.core.weights import exact, in_parts, rest_of, share_of


@pytest.mark.parametrize(
    ("weight", "told"),
    [(5.0, "5"), (0.1 + 0.2, "0.3"), (1.2499, "1.25"), (99.999, "100"), (0.35, "0.35")],
)
def test_a_weight_reads_as_people_write_it(weight: float, told: str) -> None:
    assert str(exact(weight)) == told


def test_both_versions_have_everything_to_the_hundredth() -> None:
    weights = [exact(parts / 100) for parts in range(10_001)]

    assert {in_parts(it) + in_parts(rest_of(it)) for it in weights} == {10_000}
    assert [in_parts(it) for it in weights] == list(range(10_001))


@pytest.mark.parametrize(
    ("pods", "weight", "needed"),
    [
        pytest.param(4, 25, 1, id="a whole pod"),
        pytest.param(4, 26, 2, id="a little more"),
        pytest.param(10, 0.01, 1, id="the least weight"),
        pytest.param(1000, 0.1, 1, id="a pod in a thousand"),
        pytest.param(1000, 0.11, 2, id="and a little more"),
        pytest.param(3, 33.33, 1, id="a third, but for a hundredth"),
        pytest.param(7, 100, 7, id="everybody"),
        pytest.param(7, 0, 0, id="nobody"),
    ],
)
def test_a_weight_takes_its_share_of_the_pods_rounded_up(
    pods: int, weight: float, needed: int
) -> None:
    assert share_of(pods, weight) == needed
