"""Numbers as people on call read them: counts, shares, durations, odds. No sentences."""

from math import exp, floor, log, log10

LARGEST_ODDS_WRITTEN_OUT = log(100_000)
"""Above it a power of ten says the same and can be taken in at a glance."""


def counted(number: float) -> str:
    """`1,604`."""
    return f"{number:,.0f}"


def percent(share: float) -> str:
    """`7.2 %`, `0.12 %`, `100 %`: two digits that matter, never an exponent."""
    value = share * 100
    if value <= 0:
        return "0 %"
    digits = max(1 - floor(log10(value)), 0)
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def part(bad: float, total: float) -> str:
    """`6 of 83 requests (7.2 %)`; of none, `0 of 0 requests`."""
    share = f" ({percent(bad / total)})" if total else ""
    return f"{counted(bad)} of {counted(total)} requests{share}"


def seconds(value: float) -> str:
    """`250 ms`, `1.5 s`."""
    if value < 1:
        return f"{value * 1000:.4g} ms"
    return f"{value:.4g} s" if value < 1000 else f"{value:,.0f} s"


def odds(log_e: float) -> str:
    """`1 : 240` for evidence of 240, `1 : 10^23` for more, `none` for 1 or less."""
    if log_e <= log(1.05):
        return "none"
    if log_e > LARGEST_ODDS_WRITTEN_OUT:
        return f"1 : 10^{log_e / log(10):.0f}"
    value = exp(log_e)
    return f"1 : {value:,.0f}" if value >= 10 else f"1 : {value:.1f}"
