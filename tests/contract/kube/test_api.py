"""KubeApi over a real socket: what goes out, what comes back, and what an error says."""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from daemon.errors import (
    ConflictError,
    CrossfadeError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from daemon.kube import answers
from daemon.kube.objects import DEPLOYMENTS, EVENTS, PODS, VIRTUALSERVICES
from tests.contract.kube.scripted import (
    SHORT,
    answer,
    connected,
    cut_connection,
    hang_up,
    raw,
    stream,
)

PATCH = b'[{"op":"test","path":"/metadata/uid","value":"\\u003cu\\u003e"}]'


async def watch(api):
    async with api.watch(DEPLOYMENTS, "echo", resource_version="7", timeout_seconds=0) as lines:
        return [line async for line in lines]


READS = {
    "get": lambda api: api.get(DEPLOYMENTS, "echo", "echo-v1"),
    "list": lambda api: api.list_page(DEPLOYMENTS, "echo"),
    "watch": watch,
}
WRITES = {
    "json_patch": lambda api: api.json_patch(DEPLOYMENTS, "echo", "echo-v1", PATCH),
    "create": lambda api: api.create(EVENTS, "echo", {"metadata": {"name": "e"}}),
    "replace": lambda api: api.replace(DEPLOYMENTS, "echo", "echo-v1", {}),
    "delete": lambda api: api.delete(DEPLOYMENTS, "echo", "e", uid="u", resource_version="7"),
}
CALLS = READS | WRITES


# ---------------------------------------------------------------- what goes out


async def test_a_get_reads_the_store_and_never_an_old_cache(server, api):
    server.replies.append(answer(body={"kind": "Deployment"}))

    assert await api.get(DEPLOYMENTS, "echo", "echo-v1") == {"kind": "Deployment"}

    asked = server.asked[0]
    assert asked.path == "/apis/apps/v1/namespaces/echo/deployments/echo-v1"
    assert asked.query == {}
    assert asked.headers["user-agent"].startswith("crossfade/")
    assert asked.headers["authorization"] == "Bearer secret-one"


async def test_a_list_is_paged_and_of_the_newest_state(server, api):
    server.replies += [answer(), answer()]

    await api.list_page(PODS, None, label_selector="app=echo", limit=500)
    await api.list_page(PODS, None, limit=500, token="t/1")

    assert [asked.path for asked in server.asked] == ["/api/v1/pods"] * 2
    assert server.asked[0].query == {"limit": "500", "labelSelector": "app=echo"}
    assert server.asked[1].query == {"limit": "500", "continue": "t/1"}


async def test_a_watch_asks_for_bookmarks_and_an_end(server, api):
    server.replies.append(stream({"a": 1}, b'{"b"', b':2}\n{"c":3}'))

    lines = await watch(api)

    assert lines == [b'{"a": 1}', b'{"b":2}', b'{"c":3}']
    assert server.asked[0].query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "0",
    }


async def test_a_json_patch_goes_out_byte_for_byte(server, api):
    server.replies.append(answer())

    await api.json_patch(VIRTUALSERVICES, "gw", "echo", PATCH, dry_run=True)

    asked = server.asked[0]
    assert (asked.method, asked.body) == ("PATCH", PATCH)
    assert asked.path == "/apis/gateway.solo.io/v1/namespaces/gw/virtualservices/echo"
    assert asked.headers["content-type"] == "application/json-patch+json"
    assert asked.query == {
        "fieldManager": "crossfade",
        "fieldValidation": "Strict",
        "dryRun": "All",
    }


async def test_a_subresource_is_patched_under_its_own_path(server, api):
    server.replies.append(answer())

    await api.json_patch(DEPLOYMENTS, "echo", "echo-v1", PATCH, subresource="scale")

    assert server.asked[0].path.endswith("/deployments/echo-v1/scale")


@pytest.mark.parametrize("name", ["create", "replace"])
async def test_objects_are_written_as_our_field_manager_and_strictly(server, api, name):
    server.replies.append(answer())

    await WRITES[name](api)

    assert server.asked[0].query == {"fieldManager": "crossfade", "fieldValidation": "Strict"}


async def test_a_delete_carries_its_preconditions_and_leaves_dependents_to_the_background(
    server, api
):
    server.replies.append(answer())

    await WRITES["delete"](api)

    assert json.loads(server.asked[0].body) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
    }


@pytest.mark.parametrize(
    "name",
    ["a/../b", "..", ".", "", "A_B", "a" * 254, "é", "a\nb", "{{", "$(x)", "a?b", "a%2fb", "a."],
)
async def test_what_is_no_name_is_refused_before_any_request(server, api, name):
    with pytest.raises(InvalidError):
        await api.get(DEPLOYMENTS, "echo", name)
    with pytest.raises(InvalidError):
        await api.list_page(DEPLOYMENTS, name)

    assert server.asked == []


async def test_an_unknown_subresource_is_refused_before_any_request(server, api):
    with pytest.raises(InvalidError):
        await api.json_patch(DEPLOYMENTS, "echo", "echo-v1", PATCH, subresource="../x")

    assert server.asked == []


# ---------------------------------------------------------------- sent once


@pytest.mark.parametrize("name", CALLS)
async def test_a_lost_answer_is_never_followed_by_a_second_request(server, api, name):
    server.replies += [answer(), hang_up]  # the first keeps its connection open for the second
    await api.get(DEPLOYMENTS, "echo", "echo-v1")

    with pytest.raises(TransientError) as caught:
        await CALLS[name](api)

    assert len(server.asked) == 2
    assert server.connections == 1
    assert caught.value.sent


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("name", CALLS)
async def test_a_busy_or_failing_server_is_not_asked_again(server, api, name, status):
    server.replies += [answer(status), answer()]

    with pytest.raises(TransientError):
        await CALLS[name](api)

    assert len(server.asked) == 1


async def test_a_redirect_is_not_followed(server, api):
    server.replies.append(answer(302, Location="/elsewhere"))

    with pytest.raises(PermanentError):
        await READS["get"](api)

    assert len(server.asked) == 1


# ---------------------------------------------------------------- time-outs and bounds


@pytest.mark.parametrize("name", CALLS)
async def test_a_silent_server_is_given_up_on(server, tmp_path, name):
    async with connected(tmp_path, server.url, timeouts=SHORT) as api:
        async with asyncio.timeout(3):
            with pytest.raises(TransientError, match=r"within 0\.05 s") as caught:
                await CALLS[name](api)

    assert caught.value.sent


@pytest.mark.parametrize("name", CALLS)
async def test_a_body_that_never_ends_is_given_up_on(server, tmp_path, name):
    server.replies.append(stream(b"{", end="hang"))
    async with connected(tmp_path, server.url, timeouts=SHORT) as api:
        async with asyncio.timeout(3):
            with pytest.raises(TransientError):
                await CALLS[name](api)


async def test_nobody_listening_means_that_nothing_was_sent(tmp_path):
    async with connected(tmp_path, "http://127.0.0.1:1") as api:
        with pytest.raises(TransientError, match="No connection") as caught:
            await WRITES["json_patch"](api)

    assert not caught.value.sent


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(
            answer(body=b"x" * 2000), "longer than 1000 bytes", id="longer than the bound"
        ),
        pytest.param(stream(b"x" * 2000, end="hang"), "longer than 1000 bytes", id="endless"),
        pytest.param(answer(body=b""), "no JSON", id="empty"),
        pytest.param(answer(body=b"<html>"), "no JSON", id="no JSON"),
        pytest.param(answer(body=b"[" * 1000), "no JSON", id="cut while deep"),
        pytest.param(answer(body=b"[1]"), "no object", id="no object"),
        pytest.param(answer(body=b'{"a":"\xff"}'), "no JSON", id="no UTF-8"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "broke", id="cut short"
        ),
        pytest.param(raw(b"SSH-2.0-OpenSSH\r\n"), "broke", id="no HTTP"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000), "broke", id="a header without end"
        ),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
            "broke",
            id="wrongly compressed",
        ),
        pytest.param(cut_connection, "broke", id="reset"),
    ],
)
async def test_an_unusable_answer_is_transient_and_bounded(server, api, reply, says, monkeypatch):
    monkeypatch.setattr("daemon.kube.api.MAX_OBJECT", 1000)
    server.replies.append(reply)

    with pytest.raises(TransientError, match=says) as caught:
        await WRITES["json_patch"](api)

    assert caught.value.sent


async def test_an_answer_nested_beyond_all_measure_is_transient(server, api):
    server.replies.append(answer(body=b'{"a":' * 100_000))

    with pytest.raises(TransientError, match="no JSON"):
        await READS["get"](api)


async def test_a_line_of_a_watch_has_a_bound(server, api, monkeypatch):
    monkeypatch.setattr(answers, "MAX_LINE", 1000)
    server.replies.append(stream(*[b"x" * 500] * 3, end="hang"))

    with pytest.raises(TransientError, match="longer than 1000 bytes"):
        await watch(api)


async def test_a_connection_serves_one_request_after_the_other(server, api):
    server.replies += [answer(), answer(404), answer()]

    await READS["get"](api)
    with pytest.raises(NotFoundError):
        await READS["get"](api)
    await READS["get"](api)

    assert server.connections == 1


async def test_a_watch_that_is_left_closes_its_connection(server, api):
    server.replies.append(stream({"a": 1}, end="hang"))

    async with api.watch(PODS, "echo", resource_version="1", timeout_seconds=9) as lines:
        assert await anext(lines) == b'{"a": 1}'

    assert server.connections == 1
    server.replies.append(answer())
    await READS["get"](api)
    assert server.connections == 2


# ---------------------------------------------------------------- errors


def status(code, message="", **details):
    return answer(code, {"kind": "Status", "message": message, "details": details})


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (status(400), PermanentError),
        (status(403), ForbiddenError),
        (status(404), NotFoundError),
        (answer(404, b"404 page not found"), NotFoundError),
        (status(405), PermanentError),
        (status(409), ConflictError),
        (status(410), GoneError),
        (status(413), PermanentError),
        (status(415), PermanentError),
        (status(422), InvalidError),
        (status(429), TransientError),
        (status(500), TransientError),
        (answer(503, b"upstream is down"), TransientError),
        (answer(503, b""), TransientError),
        (answer(500, b"[]"), TransientError),
        (answer(500, b"x" * 100_000), TransientError),
        (answer(422, b'{"details":7,"message":8}'), InvalidError),
        (answer(422, b'{"details":{"causes":[7,{"message":8}]}}'), InvalidError),
    ],
)
@pytest.mark.parametrize("name", ["get", "watch", "json_patch"])
async def test_a_status_becomes_the_error_of_its_meaning(server, api, name, reply, error):
    server.replies.append(reply)

    with pytest.raises(CrossfadeError) as caught:
        await CALLS[name](api)

    assert type(caught.value) is error


async def test_a_refusal_for_want_of_rights_names_the_missing_right(server, api):
    server.replies.append(status(403, 'User "crossfade" cannot patch'))

    with pytest.raises(ForbiddenError) as caught:
        await api.json_patch(VIRTUALSERVICES, "gw", "echo", PATCH)

    assert str(caught.value) == (
        "Not allowed to patch virtualservices.gateway.solo.io 'echo' in namespace gw (403):"
        ' User "crossfade" cannot patch'
    )


async def test_a_refused_field_is_named_without_the_object_before_it(server, api):
    secret = '{"password":"hunter2"}' * 50
    server.replies.append(
        status(
            422,
            f"VirtualService is invalid: {secret}",
            causes=[{"message": f'{secret}: strict decoding error: unknown field "spec.rowtes"'}],
        )
    )

    with pytest.raises(InvalidError) as caught:
        await WRITES["json_patch"](api)

    assert caught.value.causes == ('strict decoding error: unknown field "spec.rowtes"',)
    assert "hunter2" not in str(caught.value)


async def test_a_refused_field_in_a_create_is_a_refused_field_too(server, api):
    server.replies.append(status(400, '{..}: strict decoding error: unknown field "nope"'))

    with pytest.raises(InvalidError) as caught:
        await WRITES["create"](api)

    assert caught.value.causes == ('strict decoding error: unknown field "nope"',)


async def test_a_failed_test_has_no_causes(server, api):
    server.replies.append(
        status(422, "the server rejected our request due to an error in our request")
    )

    with pytest.raises(InvalidError) as caught:
        await WRITES["json_patch"](api)

    assert caught.value.causes == ()


async def test_the_words_of_the_server_are_one_short_line(server, api):
    server.replies.append(status(403, "line one\nline two\x1b[31m" + "x" * 5000))

    with pytest.raises(ForbiddenError) as caught:
        await READS["get"](api)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        pytest.param(answer(429, Retry_After="7"), 7.0, id="the header is obeyed"),
        pytest.param(status(503, retryAfterSeconds=9), 9.0, id="so is the Status"),
        pytest.param(answer(429), None, id="none is none"),
        pytest.param(answer(429, Retry_After="soon"), None, id="nonsense is none"),
        pytest.param(answer(429, Retry_After="9" * 30), None, id="a thousand years are nonsense"),
    ],
)
async def test_how_long_to_wait_is_handed_on(server, api, reply, seconds):
    server.replies.append(reply)

    with pytest.raises(TransientError) as caught:
        await READS["get"](api)

    assert caught.value.retry_after == seconds


# ---------------------------------------------------------------- the server's time


async def test_every_answer_tells_the_time_even_a_refusal(server, api):
    server.replies.append(answer(404))

    with pytest.raises(NotFoundError):
        await READS["get"](api)

    assert api.server_clock.now() == datetime.fromtimestamp(1_700_000_000, UTC)


async def test_a_watch_tells_the_time_when_it_opens(server, api):
    server.replies.append(stream())

    await watch(api)

    assert api.server_clock.known


@pytest.mark.parametrize("name", CALLS)
async def test_a_server_that_cannot_answer_is_out_of_reach_until_it_can(server, api, clock, name):
    server.replies += [answer(503), answer(403), answer(503)]
    begun = clock.monotonic()
    for _ in range(3):
        with suppress(CrossfadeError):
            await CALLS[name](api)
        clock.seconds += 10

    assert api.reach.lost() == ((begun, begun + 10), (begun + 20, begun + 30))


async def test_an_answer_without_a_date_tells_nothing(server, api):
    server.replies.append(answer(date=None))

    await READS["get"](api)

    assert not api.server_clock.known


# ---------------------------------------------------------------- the safety net


async def test_more_than_forty_requests_at_once_are_spread_at_twenty_a_second(server, api, clock):
    server.replies += [answer()] * 60

    for _ in range(60):
        await READS["get"](api)

    assert sum(clock.pauses) == pytest.approx(1.0)


async def test_a_write_goes_ahead_of_waiting_reads(server, api, clock):
    server.replies += [answer()] * 41
    for _ in range(40):
        await READS["get"](api)

    await WRITES["json_patch"](api)

    assert clock.pauses == []


async def test_an_event_is_no_urgent_write(server, api, clock):
    server.replies += [answer()] * 41
    for _ in range(40):
        await READS["get"](api)

    await WRITES["create"](api)

    assert sum(clock.pauses) == pytest.approx(0.05)
