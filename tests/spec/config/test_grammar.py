"""Words with a grammar: what passes cannot break out of where it is put."""

from collections.abc import Callable

import pytest

from config import grammar

GOOD: list[tuple[Callable[[str], str], list[str]]] = [
    (grammar.name, ["echo", "a", "a-b-1", "x" * 63, "kube-system"]),
    (grammar.object_ref, ["gloo-system/echo", "a/b.c-d", "a/" + "b" * 253]),
    (grammar.label_key, ["version", "app.kubernetes.io/version", "A_b.c", "x/" + "y" * 63]),
    (grammar.version, ["v1", "1.10", "A_b-c.d", "x" * 63]),
    (grammar.title, ["success rate", "ü", "x" * 80]),
    (grammar.metric_name, ["http_requests_total", "job:rate:5m", "_x"]),
    (grammar.header_name, ["stage", "X-Stage", "x_y", "!#$%&'*+.^`|~"]),
    (grammar.header_value, ["", "a", 'a b; c="d"', "x" * 4096]),
    (grammar.url_path, ["/", "/a?b=c&d=%20", "/" + "x" * 2047]),
    (grammar.url, ["http://a", "https://a.b:9090/c/d", "http://[::1]:80", "http://10.0.0.1"]),
    (grammar.origin, ["http://a", "http://a:80/", "https://gateway-proxy.gloo-system"]),
    (grammar.host, ["echo.example.com", "a", "a:8080"]),
    (grammar.file_path, ["/etc/ca.pem", "/x y"]),
    (grammar.json_path, ["$", "$.a", "$.a-b_c[0].d", "$[12]"]),
    (
        grammar.body_pattern,
        [
            "version:{{ version }}", "(a|b){{ version }}", "ok [0-9]+", "(?:v1|v2)x", r"\(a+\)*", "[(a+)*]",
            "(a+)?", "((ab)c)+", "(?P<n>a)", "a{1000}", "^[]a]+$", "[^]a]+", r"\d+\.\d+", "a*?b", "(a)(b)",
        ],
    ),
]  # fmt: skip

BAD: list[tuple[Callable[[str], str], list[str]]] = [
    (grammar.name, ["", "A", "a_b", "-a", "a-", "x" * 64, "a/../b", "😀", "a\n", "{{", "$(x)", "a.b", "\uff41"]),
    (
        grammar.object_ref,
        ["", "echo", "a/", "/b", "a/b/c", "A/b", "a/../b", "a/b\n", "x" * 64 + "/b", "a/" + "b" * 254],
    ),
    (grammar.label_key, ["", "a b", "/x", "x/", "a/b/c", "-a", "a\n", "x" * 64, "x" * 250 + "/abc"]),
    (grammar.version, ["", "a b", '"', "-a", "a.", "x" * 64, 'v1"} or vector(1) #', ".*", "a\n", "\u0661"]),
    (grammar.title, ["", "a\nb", "a\x1bb", "x" * 81]),
    (grammar.metric_name, ["", "1a", "a-b", 'a"} or x', "a\n", "x" * 201]),
    (grammar.header_name, ["", "a b", "a:", "a\r\nb", "ü", "Host", "Content-Length", "connection", "crossfade-probe"]),
    (grammar.header_value, [" a", "a ", "a\r\nb: c", "a\x00", "ü", "a\tb", "x" * 4097]),
    (grammar.url_path, ["", "a", "http://a", "/a b", "/a#b", "/a\\b", "/a\r\nb", "/ü", "/" + "x" * 2048]),
    (
        grammar.url,
        [
            "", "a:80", "//a", "http:a", "http:/a", "http://", "http://:80", "file:///etc/passwd", "gopher://a",
            "http://me@a", "http://me:pw@a", "http://a:0", "http://a:99999", "http://a:x", "http://[::1",
            "http://a?b", "http://a#b", "http://a?", "http://a#", "http://a b", "http://a\r\nb", "http:\\\\a",
            "javascript:alert(1)", "http://ü",
        ],
    ),
    (grammar.origin, ["http://a/b", "http://a//"]),
    (grammar.host, ["", "a b", "a\r\nb", "a/b", "-a", "a:", "a:123456", "ü"]),
    (grammar.file_path, ["", "a", "/a\nb", "/" + "x" * 1024]),
    (grammar.json_path, ["", "a", "$.", "$..a", "$.a[*]", "$.a[-1]", "$.a b", "$[?(@.x)]", "$.a\n", "$" + ".a" * 100]),
    (
        grammar.body_pattern,
        [
            "", "(", "a**", "x" * 201, "(a+)+", "(a|b)*", "(a?a?)*", "(?:a{1,2})*", "(a(b+)c){2,}", "((a|b)c)+",
            "(?P<n>a+)*", "(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?i)a", "a*b*c*", "a{1,9}b{1,9}c{1,9}", "[[a]",
            "(?P<n>a)(?P=n)",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "text"),
    [
        pytest.param(check, text, id=f"{check.__name__}: {text[:20]!r}")
        for check, texts in GOOD
        for text in texts
    ],
)
def test_this_is_possible(check: Callable[[str], str], text: str):
    assert check(text) == text


@pytest.mark.parametrize(
    ("check", "text"),
    [
        pytest.param(check, text, id=f"{check.__name__}: {text[:20]!r}")
        for check, texts in BAD
        for text in texts
    ],
)
def test_this_is_refused_with_a_sentence(check: Callable[[str], str], text: str):
    with pytest.raises(ValueError, match=r"\w+ \w+") as refused:
        check(text)

    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("url", ["http://me:hunter2@gw", "http://gw?token=hunter2", "hunter2://gw"])
def test_a_refused_url_is_not_repeated(url: str):
    with pytest.raises(ValueError, match=r"URL") as refused:
        grammar.url(url)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["a {{ version }}", "{{version}}{{ window }}", "{ { version } }", "}}{{"]
)
def test_known_placeholders_are_possible(text: str):
    assert grammar.placeholders(text, ("version", "window")) == text


@pytest.mark.parametrize(
    "text", ["{{ verzion }}", "{{}}", "{{ a.b }}", "{{ version | upper }}", "{{{version}}}"]
)
def test_a_placeholder_that_nobody_fills_is_refused(text: str):
    with pytest.raises(ValueError, match=r"possible: \{\{ version \}\}"):
        grammar.placeholders(text, ("version",))
