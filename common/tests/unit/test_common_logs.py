import json
import logging

from saras_common.logs import JsonFormatter, mask, request_id_var


def line(message, **extra):
    record = logging.LogRecord("x", logging.INFO, "f", 1, message, None, None)
    record.__dict__.update(extra)
    return json.loads(JsonFormatter("test").format(record))


def test_a_line_carries_the_request_id_and_extras():
    reset = request_id_var.set("req-1")
    try:
        shown = line("hello", order_id="o-1")
    finally:
        request_id_var.reset(reset)
    assert shown["message"] == "hello"
    assert shown["request_id"] == "req-1"
    assert shown["order_id"] == "o-1"
    assert shown["service"] == "test"


def test_secrets_are_masked_by_name_and_by_shape():
    shown = line("at postgresql://saras:hunter2@host/db", access_token="abc", note="eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl")
    assert "hunter2" not in shown["message"]
    assert shown["access_token"] == "***"
    assert shown["note"] == "***"
    assert mask("Authorization: token key1:secretsecret") == "Authorization: token ***"


def test_a_line_stays_one_line():
    assert "\n" not in JsonFormatter("t").format(logging.LogRecord("x", 20, "f", 1, "a\nb\r\x1b[0m", None, None))
