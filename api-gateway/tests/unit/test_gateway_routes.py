import pytest

from api_gateway.errors import BadRequest
from api_gateway.routes import TABLE, Access, RouteTable, check_query, decoded_path
from saras_common.errors import NotFound

ALL = RouteTable({route.service for route in TABLE})


@pytest.mark.parametrize(
    ("path", "name", "service", "access"),
    [
        ("/register", "register", "user-service", Access.PUBLIC),
        ("/token/refresh", "token/refresh", "user-service", Access.PUBLIC),
        ("/me/sessions/1", "me", "user-service", Access.SIGNED_IN),
        ("/admin/users/1/kyc/approve", "admin/users", "user-service", Access.ADMIN),
        ("/admin/funds", "admin/funds", "portfolio-service", Access.ADMIN),
        ("/orders/batch", "orders/batch", "portfolio-service", Access.SIGNED_IN),
        ("/admin/mark-price", "admin/mark-price", "trade-executor", Access.ADMIN),
        ("/admin/execution/run", "admin/execution", "trade-executor", Access.ADMIN),
        ("/broker/postback", "broker/postback", "trade-executor", Access.PUBLIC),
        ("/quotes", "quotes", "trade-executor", Access.SIGNED_IN),
    ],
)
def test_table_leads_to_the_service(path, name, service, access):
    route = ALL.find(path)
    assert (route.name, route.service, route.access) == (name, service, access)


@pytest.mark.parametrize(
    "path",
    [
        "/internal/revocations",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/admin",
        "/admin/secret",
        "/token",
        "/login/x",
        "/register/x",
        "/broker/postback/x",
        "/ordersx",
        "/",
        "/broker",
        "/.well-known/jwks.json",
        "/docs",
    ],
)
def test_table_knows_nothing_else(path):
    assert ALL.find(path) is None


def test_table_leaves_out_a_service_that_is_not_there():
    assert RouteTable({"user-service"}).find("/orders") is None


def test_no_route_is_internal_and_every_public_one_is_exact():
    assert not [route for route in TABLE if route.name.startswith(("internal", "health", "metrics"))]
    assert all(route.exact for route in TABLE if route.access is Access.PUBLIC)
    assert {route.name for route in TABLE if route.access is Access.ADMIN} == {
        route.name for route in TABLE if route.name.startswith("admin/")
    }


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"/orders", "/orders"),
        (b"/quotes/NSE:M%26M", "/quotes/NSE:M&M"),
        (b"/a/%E2%82%B9", "/a/₹"),
        (b"/a.b/c", "/a.b/c"),
    ],
)
def test_path_is_decoded_once(raw, text):
    assert decoded_path(raw) == text


@pytest.mark.parametrize(
    "raw",
    [
        b"/a/../internal",
        b"/a/./b",
        b"/a/%2e%2e/b",
        b"/%2E/b",
        b"/a%2fb",
        b"/a%2Fb",
        b"/a%5cb",
        b"/a%00b",
        b"/a%0ab",
        b"/a%252fb",
        b"/a%252e%252e/b",
        b"/a%ff",
        b"/a%c0%af",
        b"/a/..",
        b"/a%7f",
        b"/a/.%2e/b",
        b"/a/%ed%a0%80",
    ],
)
def test_path_with_two_readings_is_refused(raw):
    with pytest.raises(BadRequest):
        decoded_path(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"a", b"//a", b"/a/", b"/a//b", b"/", b"/a%", b"/a%2", b"/a%zz", b"/a b", b"/\xff"]
)
def test_path_that_is_no_path_is_not_found(raw):
    with pytest.raises(NotFound):
        decoded_path(raw)


@pytest.mark.parametrize("query", [b"a=%00", b"a=%ff", b"\xff", b"a=%ed%a0%80"])
def test_query_that_is_not_text_is_refused(query):
    with pytest.raises(BadRequest):
        check_query(query)


def test_query_may_hold_any_text():
    check_query(b"q=%E2%82%B9&cursor=a%2Bb%3D&x=100%25")
