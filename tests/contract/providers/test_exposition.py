"""A pod's metrics page, from the tidy to the hostile."""

import pytest

from analysis.errors import ProviderError
from analysis.providers.exposition import LARGEST_PAGE, Families, PageError, counters_of
from analysis.samples import Counters

FAMILIES = Families("http_requests_total", "code", "http_request_duration_seconds")

PAGE = b"""\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/"} 90
http_requests_total{code="404",path="/"} 7
http_requests_total{code="500",path="/"} 2
http_requests_total{code="503",path="/work"} 1
http_requests_total_of_another_kind{code="500"} 1000
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{path="/",le="0.25"} 80
http_request_duration_seconds_bucket{path="/",le="0.5"} 90
http_request_duration_seconds_bucket{path="/",le="+Inf"} 95
http_request_duration_seconds_bucket{path="/work",le="0.25"} 0
http_request_duration_seconds_bucket{path="/work",le="0.5"} 1
http_request_duration_seconds_bucket{path="/work",le="+Inf"} 5
http_request_duration_seconds_sum{path="/"} 12.5
http_request_duration_seconds_count{path="/"} 95
process_cpu_seconds_total 3.5
"""


def buckets(*counts: tuple[str, int]) -> bytes:
    name = "http_request_duration_seconds_bucket"
    return "\n".join(f'{name}{{le="{bound}"}} {count}' for bound, count in counts).encode()


def read(text: str | bytes) -> Counters:
    page = text.encode() if isinstance(text, str) else text
    return counters_of(page, FAMILIES)


def test_requests_and_buckets_are_summed_over_their_labels():
    assert read(PAGE) == Counters(100, 3, {0.25: 80, 0.5: 91}, 100)


def test_openmetrics_with_exemplars_timestamps_and_end_is_read_too():
    page = (
        "# TYPE http_requests counter\n"
        'http_requests_total{code="200"} 5.0 1700000000.5 # {trace_id="a} b"} 1.0 1700000000.1\n'
        'http_requests_total{code="502",} 1e+02\n'
        'http_requests_created{code="200"} 1.6e9\n'
        "# EOF\n"
    )

    assert read(page) == Counters(105, 100)


def test_a_counter_named_without_total_is_found():
    families = Families("http_requests", "code", "latency")

    counters = counters_of(b'http_requests_total{code="200"} 4\n', families)

    assert counters == Counters(4, 0)


def test_label_values_may_hold_quotes_braces_and_newlines():
    page = 'http_requests_total{path="/a\\"}b\\\\\\n{",code="500"} 3\n'

    assert read(page) == Counters(3, 3)


@pytest.mark.parametrize("end", ["\n", "", "\r\n", "\n\n"])
def test_the_last_line_counts_however_it_ends(end):
    assert read('http_requests_total{code="500"} 3' + end) == Counters(3, 3)


@pytest.mark.parametrize(
    ("code", "failed"),
    [("200", 0), ("404", 0), ("499", 0), ("500", 1), ("599", 1), ("5xx", 1), ("2xx", 0)],
)
def test_a_status_of_five_hundred_and_more_is_a_failure(code, failed):
    assert read(f'http_requests_total{{code="{code}"}} 1\n').failed == failed


def test_a_page_without_the_families_is_one_before_the_first_request():
    assert read("process_cpu_seconds_total 3.5\n") == Counters(0, 0)


def test_a_bound_that_only_some_series_have_is_left_out():
    page = (
        'http_request_duration_seconds_bucket{path="/",le="0.1"} 1\n'
        'http_request_duration_seconds_bucket{path="/",le="+Inf"} 2\n'
        'http_request_duration_seconds_bucket{path="/b",le="0.2"} 1\n'
        'http_request_duration_seconds_bucket{path="/b",le="+Inf"} 3\n'
    )

    assert read(page) == Counters(0, 0, {}, 5)


@pytest.mark.parametrize(
    ("case", "page", "reason"),
    [
        ("nothing", b"", "holds no metrics"),
        ("blank lines", b"\n\n \n", "holds no metrics"),
        ("HTML", b"<!DOCTYPE html><html>500</html>", "holds no metrics"),
        ("JSON", b'{"status": "ok"}', "holds no metrics"),
        ("prose", b"not found here", "holds no metrics"),
        ("binary", b"\xff\xfe\x00", "not UTF-8"),
        ("too large", b"a 1\n" * (LARGEST_PAGE // 4 + 1), "larger than 1024 KiB"),
        ("negative", b'http_requests_total{code="200"} -1', "no count"),
        ("NaN", b'http_requests_total{code="200"} NaN', "no count"),
        ("infinite", b'http_requests_total{code="200"} +Inf', "no count"),
        ("1e999", b'http_requests_total{code="200"} 1e999', "no count"),
        ("no value", b'a 1\nhttp_requests_total{code="200"}', "no count"),
        ("a word", b'a 1\nhttp_requests_total{code="200"} many', "no count"),
        ("underscores", b'http_requests_total{code="200"} 1_000', "no count"),
        ("unlabelled", b"http_requests_total 5", 'no status code in its label "code"'),
        ("another label", b'http_requests_total{status="200"} 5', "no status code"),
        ("no code", b'http_requests_total{code=""} 5', "no status code"),
        ("a word as code", b'http_requests_total{code="ok"} 5', "no status code"),
        ("cut label", b'a 1\nhttp_requests_total{code="200" 5', "labels that cannot be read"),
        ("label twice", b'a 1\nhttp_requests_total{code="200",code="500"} 5', "cannot be read"),
        (
            "duplicate",
            b'http_requests_total{code="200",a="b"} 5\nhttp_requests_total{a="b",code="200"} 5',
            "there twice",
        ),
        ("no bound", b"http_request_duration_seconds_bucket 5", 'no number in its label "le"'),
        ("NaN bound", b'http_request_duration_seconds_bucket{le="NaN"} 5', "no number"),
        (
            "falling buckets",
            buckets(("0.1", 5), ("0.2", 4), ("+Inf", 9)),
            "not cumulative",
        ),
        (
            "more in a bucket than in all",
            buckets(("0.1", 5), ("+Inf", 4)),
            "not cumulative",
        ),
        (
            "too many series",
            b"\n".join(b'http_requests_total{code="200",a="%d"} 1' % n for n in range(20_001)),
            "more than 20000 series",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_page_that_cannot_be_believed_is_refused_with_a_reason(case, page, reason):
    with pytest.raises(PageError, match=reason) as refused:
        read(page)

    assert isinstance(refused.value, ProviderError), case
