"""A metrics page in Prometheus' protobuf format, as far as one counter and histograms need it.

Messages: io.prometheus.client of prometheus/client_model, each with its length in front. It is the
only format in which Prometheus scrapes native histograms, and prometheus-client does not write it.
"""

import struct
from collections.abc import Iterable, Mapping
from itertools import pairwise

CONTENT_TYPE = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
COUNTER, HISTOGRAM = 0, 4


def number(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def signed(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def field(place: int, value: float | str | bytes) -> bytes:
    match value:
        case float():
            return number(place << 3 | 1) + struct.pack("<d", value)
        case int():
            return number(place << 3) + number(value)
    content = value.encode() if isinstance(value, str) else value
    return number(place << 3 | 2) + number(len(content)) + content


def counter(value: float) -> bytes:
    return field(3, field(1, float(value)))


def histogram(counts: Mapping[int, int], schema: int, zeros: int = 0) -> bytes:
    """Write buckets by their place: n ends at 2^(n / 2^schema) seconds."""
    places = sorted(counts)
    gaps = [later - earlier - 1 for earlier, later in pairwise(places)]
    differences = [b - a for a, b in pairwise([0, *(counts[place] for place in places)])]
    parts = [
        field(1, sum(counts.values()) + zeros),
        field(2, 1.0),
        field(5, signed(schema)),
        field(6, 0.001),
        field(7, zeros),
        *(field(12, field(1, signed(gap)) + field(2, 1)) for gap in [*places[:1], *gaps]),
        *(field(13, signed(difference)) for difference in differences),
    ]
    return field(7, b"".join(parts))


def family(name: str, kind: int, metrics: Iterable[tuple[Mapping[str, str], bytes]]) -> bytes:
    """Write one family; each metric's labels and its `counter` or `histogram`."""
    written = field(1, name) + field(2, "-") + field(3, kind)
    for labels, value in metrics:
        pairs = (field(1, field(1, label) + field(2, text)) for label, text in labels.items())
        written += field(4, b"".join(pairs) + value)
    return number(len(written)) + written
