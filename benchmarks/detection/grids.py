"""Which cells are run: the main grid, latency, and a second grid that no choice was made on."""

from itertools import product

from analysis.decidability import requests_to_detect
from benchmarks.detection.judges import ALPHA, FIXED_STEPS, STEP_SECONDS
from benchmarks.detection.traffic import Cell, Times, Variant

RATES, BASES = (1.0, 10.0, 100.0, 1000.0), (0.001, 0.01)
CHANGES = ("x1.5", "x2", "x5", "+1", "+5", "all")

INDEPENDENT = Variant("independent")
CLUMPED = Variant("clumped", clump=4)
DRIFT = Variant("drift", drift=True)
WARM_UP = Variant("warm-up", warm_up=True)
MAIN = (INDEPENDENT, CLUMPED, DRIFT, WARM_UP)

SECOND_RATES, SECOND_BASES = (3.0, 30.0, 300.0, 3000.0), (0.003, 0.03)
SECOND_CHANGES = ("x3", "+2", "+20", "all")
SECOND = (
    Variant("second: independent, no history", history=0),
    Variant("second: drift", drift=True),
    Variant("second: clumps of 2, 3 min history", clump=2, history=12),
    Variant("second: clumps of 8", clump=8),
    Variant("second: clumps of 4 over drift", clump=4, drift=True),
    Variant("second: one stable pod, no history", history=0, pods=1),
)

SLOW = (Times(0.05, 1.2), Times(0.05, 2.0), Times(1.0, 2.0))


def harmless(*, second: bool = False) -> list[Cell]:
    """Cells in which any rollback is false."""
    axes = (SECOND, SECOND_RATES, SECOND_BASES) if second else (MAIN, RATES, BASES)
    return [Cell(variant, rps, base, "x1") for variant, rps, base in product(*axes)]


def bad(*, second: bool = False) -> list[Cell]:
    """Cells in which any promotion is false; a warming canary is only ever harmless."""
    main = MAIN[:3], RATES, BASES, CHANGES
    axes = (SECOND, SECOND_RATES, SECOND_BASES, SECOND_CHANGES) if second else main
    return [Cell(*square) for square in product(*axes)]


def timed(*, slower: bool) -> list[Cell]:
    """Cells whose requests take time: canaries as quick as stable, or slower."""
    factors = SLOW if slower else (Times(),)
    return [
        Cell(INDEPENDENT, rps, 0.001, "x1", times) for rps in (10.0, 1000.0) for times in factors
    ]


def requests_needed(cell: Cell) -> float:
    """Return the canary requests after which Wald's test knows, on average."""
    return requests_to_detect(cell.base, cell.canary_rate(cell.base), alpha=ALPHA)


def at_hand(cell: Cell) -> float:
    """Return the canary requests of the fixed ramp."""
    return cell.rps * STEP_SECONDS * sum(FIXED_STEPS) / 100


def surely_decidable(cell: Cell) -> bool:
    """Say so without simulating: four times the requests that are needed are at hand."""
    return at_hand(cell) >= 4 * requests_needed(cell)
