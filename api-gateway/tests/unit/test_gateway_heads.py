import pytest

from api_gateway.addresses import ClientAddresses, rate_key
from api_gateway.cors import Cors
from api_gateway.errors import BadRequest, HeadersTooLarge, UnsupportedMediaType
from api_gateway.heads import Head
from saras_common.errors import TooLarge

HOST = (b"host", b"x")


def head(*headers):
    made = Head([HOST, *headers])
    made.check(64)
    return made


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HOST, HOST],
        [(b"host", b"a b")],
        [(b"host", b"")],
        [HOST, (b"content-length", b"1"), (b"content-length", b"1")],
        [HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"content-length", b"-1")],
        [HOST, (b"content-length", b"+1")],
        [HOST, (b"content-length", b"1, 1")],
        [HOST, (b"transfer-encoding", b"gzip, chunked")],
        [HOST, (b"transfer-encoding", b"identity")],
        [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
        [HOST, (b"idempotency-key", b"a"), (b"idempotency-key", b"b")],
        [HOST, (b"content-type", b"application/json"), (b"content-type", b"text/plain")],
    ],
)
def test_head_contradictions_are_refused(headers):
    with pytest.raises(BadRequest):
        Head(headers).check(64)


def test_head_repeated_harmless_headers_are_taken():
    head((b"accept", b"a"), (b"accept", b"b"))


def test_head_count_is_bounded():
    with pytest.raises(HeadersTooLarge):
        Head([HOST] + [(b"a%d" % n, b"") for n in range(64)]).check(64)


@pytest.mark.parametrize(
    ("value", "token"),
    [(b"Bearer abc", "abc"), (b"bearer abc", "abc"), (b"Basic abc", None), (b"abc", None), (b"Bearer \xff", None)],
)
def test_head_bearer(value, token):
    assert head((b"authorization", value)).bearer() == token


@pytest.mark.parametrize(
    "kind", [b"application/json", b"Application/JSON; charset=utf-8", b'application/json;charset="UTF-8"']
)
def test_head_takes_json(kind):
    head((b"content-length", b"2"), (b"content-type", kind)).check_body("POST", 10)


@pytest.mark.parametrize(
    "kind", [b"", b"text/plain", b"application/json; charset=utf-16", b"application/jsonp", b"multipart/form-data"]
)
def test_head_refuses_other_bodies(kind):
    with pytest.raises(UnsupportedMediaType):
        head((b"content-length", b"2"), (b"content-type", kind)).check_body("POST", 10)


def test_head_refuses_compressed_and_large_bodies():
    json = (b"content-type", b"application/json")
    with pytest.raises(UnsupportedMediaType):
        head((b"content-length", b"2"), json, (b"content-encoding", b"gzip")).check_body("POST", 10)
    with pytest.raises(TooLarge):
        head((b"content-length", b"11"), json).check_body("POST", 10)
    head((b"content-length", b"10"), json).check_body("POST", 10)


def test_head_without_a_body_needs_no_type():
    head().check_body("POST", 10)
    head((b"content-length", b"0")).check_body("POST", 10)


def test_head_forwards_only_the_list():
    made = head((b"accept", b"*/*"), (b"x-user-id", b"1"), (b"x-internal-token", b"1"), (b"range", b"bytes=0-1"))
    assert made.forwarded() == [(b"accept", b"*/*"), (b"range", b"bytes=0-1")]


def test_head_drops_what_connection_names():
    made = head((b"connection", b"close , Range"), (b"range", b"b"), (b"accept", b"a"), (b"connection", b"Accept"))
    assert made.forwarded() == []


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], "1.1.1.1", [b"6.6.6.6"], "1.1.1.1"),
        (["10.0.0.0/8"], "1.1.1.1", [b"6.6.6.6"], "1.1.1.1"),
        (["10.0.0.0/8"], "10.0.0.1", [b"2.2.2.2"], "2.2.2.2"),
        (["10.0.0.0/8"], "10.0.0.1", [b"6.6.6.6, 2.2.2.2, 10.0.0.2"], "2.2.2.2"),
        (["10.0.0.0/8"], "10.0.0.1", [b"6.6.6.6", b"2.2.2.2"], "2.2.2.2"),
        (["10.0.0.0/8"], "10.0.0.1", [b"6.6.6.6, rubbish"], "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", [], "10.0.0.1"),
        (["::1/128"], "::1", [b"2001:db8::7"], "2001:db8::7"),
    ],
)
def test_address_is_the_rightmost_one_nobody_trusted(trusted, peer, forwarded, client):
    assert ClientAddresses(trusted).of(peer, forwarded) == client


def test_address_of_an_ipv6_customer_is_the_whole_network():
    assert rate_key("2001:db8::1") == rate_key("2001:db8::ffff:2") != rate_key("2001:db8:1::1")
    assert rate_key("1.2.3.4") == "1.2.3.4"


def test_cors_is_silent_by_default_and_exact_when_set():
    asked = head((b"origin", b"https://app.example"))
    assert Cors([]).headers(asked) == []
    assert (b"access-control-allow-origin", b"https://app.example") in Cors(["https://app.example"]).headers(asked)
    assert Cors(["https://other.example"]).headers(asked) == [(b"vary", b"Origin")]
    assert len(Cors(["https://other.example"]).preflight(asked)) == 1
