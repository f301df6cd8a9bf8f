"""Values, bodies, paths, queries, headers and methods that something, somewhere, once stumbled over."""

import json
from collections.abc import Callable, Mapping

MARK = "zq7markzq"
"""Stands in hostile texts; an answer that refuses them must not repeat it."""

LONG, VERY_LONG = 10_000, 1_000_000

_TEXTS: tuple[str, ...] = (
    *("", " ", "\t", "\n", "0", "-1", "1.5", "1e5", "NaN", "null", "undefined", "true", "1_000", " 1", "１", "0x10"),
    *("\u202eevil", "\u200b", "\ufeff", "\ufffe", "\uffff", "e\u0301" * 50, "\U0001f4a9", "İ", "ß", "\u2028", "\x7f"),
    *("' OR '1'='1", "'; DROP TABLE portfolio_service.orders; --", "1; SELECT pg_sleep(5)", '" OR ""="', "\\'; --"),
    *("*)(uid=*))(|(uid=*", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}", "${7*7}", "<%= 7*7 %>", "{0.__class__.__mro__}"),
    *("%s%s%s%n", "%(password)s", "$(id)", "`id`", "| id", "; id", "\r\nSet-Cookie: a=b", "a\r\n\r\nGET / HTTP/1.1"),
    *('=HYPERLINK("http://x","y")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "<script>alert(1)</script>", "]]>", "<!--"),
    *("../../../../etc/passwd", "..\\..\\windows", "file:///etc/passwd", "/dev/zero", "CON", "%2e%2e%2f", "%00", "%"),
    *(
        "http://127.0.0.1:1/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://0/",
        "gopher://x",
        "http://a@b:99999/",
    ),
    *("2026-02-30", "0000-00-00", "9999-12-31", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+99:99", "10000-01-01"),
    *("2026-01-01T23:59:60Z", "1e3-01-01", "NSE:", ":INFY", "NSE:INFY:NSE", "nse:infy", "NSE:INFY ", "NSE:" + "A" * 61),
    *("a@b", "a@" + "b" * 300 + ".example", "a\u0000@b.example", "a@b@c.example", "0001-01-01T00:00:00+14:00"),
    *("00000000-0000-0000-0000-000000000000", "\x85", "9999-12-31T23:59:59-14:00"),
)
TEXTS: tuple[str, ...] = (*_TEXTS, *(f"{MARK}{text}" for text in _TEXTS), "x" * LONG, MARK * 2_000, "é" * LONG)

LITERALS: tuple[str, ...] = (
    *("null", "true", "false", "0", "-0", "-1", "1.5", "0.1", "1e400", "-1e400", "1e-400", "1E+999999999", "1e16"),
    *("NaN", "Infinity", "-Infinity", "0x10", "010", "1_000", "+1", ".5", "5.", "--1", "٣"),
    *(str(2**31), str(2**53 + 1), str(2**63), str(-(2**63) - 1), str(2**64), "9" * 40, "9" * 5000, "0." + "1" * 50),
    *("[]", "{}", "[[]]", "[null]", '{"$ne": null}', '{"__proto__": {"admin": true}}', '[1, "a", {}]'),
    *("[" * depth + "]" * depth for depth in (31, 33, 1000, 30_000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (33, 5000)),
    "[" + "0," * 9_999 + "0]",
    "[" + "{}," * 4_999 + "{}]",
    '{"a": 1, "a": 2}',
    *('"\\ud800"', '"\\udfff\\ud800"', '"a\\u0000b"', '"a\x00b"', '"a\x1fb"', '"\\x41"', '"\\u12"', "'single'"),
    *(json.dumps(text) for text in TEXTS),
)
"""JSON as written: not all of it is JSON."""

SEGMENTS: tuple[str, ...] = (
    *("%00", "%ff", "%c0%af", "%ed%a0%80", "..%2f..%2f", "%2e%2e", "%2e", "%252e%252e%252f", "%5c", "%0d%0aX:%20y"),
    *("%27%20or%201=1--", "%E2%80%AE", "%EF%BC%90", "*", "nope", "0", "-1", "null", "NaN", "true", "[]", "{id}", "%"),
    *("01a1fd5b-4bfe-7409-b14f-9da48370517D", "%7B01a1fd5b-4bfe-7409-b14f-9da48370517d%7D", "urn:uuid:0", "%zz"),
    *(";x=y", "01a1fd5b4bfe7409b14f9da48370517d", "01a1fd5b-4bfe-7409-b14f-9da48370517d0", "x" * 300, "x" * 9_000),
    *(str(2**63), "1e5", "%F0%9F%92%A9", "a%2Fb", "a%3Fb", "a%23b", "NSE:INFY", "NSE%3AINFY", "nse:infy", "NSE:%00"),
    *("%20", "+", "positions_20260302.csv", "positions_99999999.csv", "positions_000000.pdf", "drawdown", "me"),
)
"""In place of an id in a path, as written."""

STRANGE_PATHS: tuple[str, ...] = (
    *("//api/v1/me", "/api/v1//me", "/api/v1/./me", "/api/v1/../v1/me", "/API/V1/me", "/api/v1/me/", "/api/v1/me;a=b"),
    *("/api/v1/me%3fa", "/api/v1/%6de%2f", "/api/v2/me", "/api/v1", "/api/v1/", "/", "/*", "/internal/users"),
    *("/api/v1/internal/users", "/api/v1/../internal/users", "/api/v1/%2e%2e/internal/users", "/.env", "/.git/config"),
    *("/api/v1/me/../admin/users", "/api/v1/admin%2fusers", "/api/v1/health/live", "/health/live/", "/docs/..", "/%"),
    *("/api/v1/" + "a/" * 2_000, "/" + "x" * 9_000, "/api/v1/me\\..", "/api/v1/me%00", "/metrics/x"),
)

QUERIES: tuple[str, ...] = (
    *("%", "%zz", "%ff", "%00", "a=%00", "=", "&&&&", "?", "limit", "limit=", "limit=1&limit=2", "cursor=a&cursor=b"),
    *(
        "limit=" + "9" * 100,
        "a=b&" * 500,
        "x" * 7_900,
        "x" * 9_000,
        "unknown=1",
        "limit[]=1",
        "limit[$gt]=1",
        "Limit=1",
    ),
    *("limit=%31", "limit=1%20", "limit=+1", "cursor=W10", "cursor=WyIiXQ", "cursor=bnVsbA", "cursor=eyJhIjoxfQ"),
    *("cursor=WzFd", "cursor=WyJhIiwiYiJd", "cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "cursor=WyJcdTAwMDAiXQ"),
)

HEADERS: tuple[Mapping[str, str], ...] = (
    *({"Idempotency-Key": key} for key in ("", " ", "x" * 255, "x" * 256, "caf\xe9", "a\tb", "\x7f", "a, b", MARK)),
    *({"X-Request-ID": text} for text in ("", "x" * 65, 'x"<script>', "a b", "${jndi:ldap://x}", "x" * 5_000)),
    *({"Last-Event-ID": text} for text in ("", "-1", "NaN", "x" * 5_000, "\xff\xfe", "0", str(2**64))),
    *({"Authorization": text} for text in ("", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c")),
    {"Authorization": "Bearer " + "a" * 9_000},
    *({"Accept": text} for text in ("", "*/*;q=2", "application/xml", "a" * 3_000, ",,,")),
    *({"Content-Encoding": text} for text in ("gzip", "identity", "deflate, gzip", "", "br")),
    *({"Range": text} for text in ("bytes=0-", "bytes=-1", "bytes=9-1", "x=1")),
    *({"Host": text} for text in ("", "a/b", "a b", "evil.example", "127.0.0.1:1", "[::1]", "x" * 300, "a@b")),
    {"Expect": "nonsense"},
    {"If-None-Match": "*", "If-Modified-Since": "nonsense"},
    {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "tracestate": "x" * 600},
    {"traceparent": "\xff", "User-Agent": "() { :; }; id"},
    {"X-Report-Password": "a b"},
    {"X-Report-Password": MARK},
    {"X-Internal-Token": "e30.e30.x", "X-User-Id": "1", "X-Forwarded-For": "1.2.3.4"},
    {"X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/internal/users"},
    {"Cookie": "a=" + "x" * 3_000, "Origin": "null", "Referer": "javascript:1"},
    {"X-Long": "x" * 17_000},
    {f"X-{number}": "y" for number in range(80)},
    {"X" * 3_000: "y"},
)

CONTENT_TYPES: tuple[str | None, ...] = (
    *(
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
    ),
    *("application/json; charset=utf-16", "application/json; charset=utf-8", "application/json, text/plain", "*/*"),
    *("application/json;" * 50, "application/jsonp", "application/problem+json", "APPLICATION/JSON", "json", "\xff"),
)

METHODS: tuple[str, ...] = (
    *("TRACE", "PROPFIND", "FOO", "PUT", "DELETE", "PATCH", "POST", "GET", "OPTIONS", "HEAD", "PURGE"),
)


BODIES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "space": lambda _: b" \n ",
    "cut": lambda whole: whole[:-1],
    "brace": lambda _: b"{",
    "trailing": lambda whole: whole + b"x",
    "trailing comma": lambda whole: whole[:-1] + b",}",
    "comment": lambda whole: b"/* */" + whole,
    "twice": lambda whole: whole * 2,
    "lines": lambda whole: whole + b"\n" + whole,
    "in a list": lambda whole: b"[" + whole + b"]",
    "as a string": lambda whole: json.dumps(whole.decode()).encode(),
    "null": lambda _: b"null",
    "number": lambda _: b"1",
    "huge number": lambda _: b"9" * 100_000,
    "keys twice": lambda whole: whole[:-1] + b"," + whole[1:],
    "deep": lambda _: b"[" * 100_000,
    "deep and closed": lambda _: b"[" * 1_000 + b"]" * 1_000,
    "deep objects": lambda _: b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "utf-16": lambda whole: whole.decode().encode("utf-16"),
    "utf-16 big": lambda whole: whole.decode().encode("utf-16-be"),
    "utf-32": lambda whole: whole.decode().encode("utf-32"),
    "byte-order mark": lambda whole: b"\xef\xbb\xbf" + whole,
    "latin-1": lambda whole: whole.decode().replace("a", "\xe9", 1).encode("latin-1"),
    "overlong utf-8": lambda whole: whole.replace(b'"', b'"\xc0\xaf', 1),
    "surrogates in utf-8": lambda whole: whole.replace(b'"', b'"\xed\xa0\x80', 1),
    "nul": lambda whole: whole.replace(b" ", b"\x00"),
    "gzip": lambda whole: b"\x1f\x8b\x08\x00" + whole,
    "form": lambda _: b"a=b&c=d",
    "xml": lambda _: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "yaml": lambda _: b"a: &a [*a]",
    "pickle": lambda _: b"\x80\x04\x95",
    "NaN": lambda _: b"NaN",
    "many keys": lambda _: b"{" + b",".join(b'"k%d":0' % number for number in range(20_000)) + b"}",
}
"""A good body damaged, disguised, doubled and outdone."""
