"""Over TLS: the certificate is checked against the name, whatever the address; mail logs in only inside it."""

import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notification_service.senders import hooks, mail
from saras_common.testing import free_port


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate of ``hook.test`` and 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hook.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("hook.test"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def server_side(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate, monkeypatch):
    """The senders trust that certificate."""
    for module in (hooks, mail):
        monkeypatch.setattr(module.ssl, "create_default_context", lambda **_terms: _trusting(certificate))


_genuine = ssl.create_default_context


def _trusting(certificate):
    return _genuine(cafile=certificate)


@pytest.fixture
def tls_receiver(server_side):
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.headers["Host"], self.path))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = server_side.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_arguments: None
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port, received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("host", "status", "answer"),
    [("hook.test", "SENT", "HTTP 204"), ("other.test", "PENDING", "no answer: SSLCertVerificationError")],
)
def test_the_certificate_is_that_of_the_name(open_desk, tls_receiver, trusting, monkeypatch, host, status, answer):
    port, received = tls_receiver
    desk = open_desk(smtp_host=None, settle_s=0)
    user = desk.person()
    looked = [(2, 1, 6, "", ("127.0.0.1", port))]
    with monkeypatch.context() as patch:
        patch.setattr("notification_service.senders.addresses.socket.getaddrinfo", lambda *_a, **_t: looked)
        desk.hook(user, f"https://{host}:{port}/x?y=1")
    desk.tell(desk.funds(user))
    genuine = hooks.socket.getaddrinfo
    monkeypatch.setattr(
        "notification_service.senders.addresses.socket.getaddrinfo",
        lambda name, *rest, **terms: looked if name.endswith(".test") else genuine(name, *rest, **terms),
    )
    desk.send_due()
    (delivery,) = desk.deliveries(user, desk.inbox(user)[0]["id"])
    assert (delivery["status"], delivery["answer"]) == (status, answer)
    assert received == ([(f"{host}:{port}", "/x?y=1")] if status == "SENT" else [])


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it does not see that all is inside TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_logs_in_inside_tls(open_desk, server_side, trusting, security):
    taken = []

    class Handler:
        async def handle_DATA(self, _server, session, envelope):  # noqa: N802 - its name in aiosmtpd
            taken.append((session.auth_data.login, envelope.rcpt_tos))
            return "250 taken"

    def authenticate(_server, _session, _envelope, _mechanism, data):
        return AuthResult(success=data.password == b"secret", handled=False, auth_data=data)

    port = free_port()
    terms = (
        {"ssl_context": server_side} if security == "tls" else {"tls_context": server_side, "require_starttls": True}
    )
    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=port,
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=security == "starttls",
        **terms,
    )
    controller.start()
    try:
        for password in ("wrong", "secret"):
            desk = open_desk(
                smtp_port=port, smtp_security=security, smtp_user="saras", smtp_password=password, settle_s=0
            )
            user = desk.person(email="asha@example.com")
            desk.tell(desk.funds(user))
            desk.send_due()
            (delivery,) = desk.deliveries(user, desk.inbox(user)[0]["id"])
            if password == "wrong":
                assert (delivery["status"], delivery["answer"]) == ("PENDING", "535 the server refused our login")
            else:
                assert delivery["status"] == "SENT"
    finally:
        controller.stop()
    assert taken == [(b"saras", ["asha@example.com"])]
