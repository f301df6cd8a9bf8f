"""Tokens no verifier may accept: to be thrown at every route that asks for one.

From one good token (as a client holds it) come the forgeries an outsider can make. With the signing key come those
that only a flaw of ours could make: genuine signatures over claims that must be refused all the same. Every token can
travel in a header: printable ASCII, no white space at its ends.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from saras_common.auth import SigningKey

Named = Iterator[tuple[str, str]]
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_UUID = "01900000-0000-7000-8000-000000000001"


def hostile_tokens(
    good: str,
    key: SigningKey | None = None,
    *,
    internal_key: bytes | None = None,
    other_audience: str = "another-api",
    now: float | None = None,
) -> list[tuple[str, str]]:
    """``(name, token)`` pairs, names and tokens unique, ``good`` itself not among them.

    ``good`` is a valid access token; ``key`` the key it was signed with, ``internal_key`` the platform's internal one,
    when the test has them; ``now`` in unix seconds when the verifier's clock is not the machine's.
    """
    at = int(time.time() if now is None else now)
    found: dict[str, str] = {}
    for family in (
        _shapes(good),
        _encodings(good),
        _signatures(good),
        _algorithms(good),
        _headers(good),
        _bodies(good),
        _self_made(good),
    ):
        found.update(family)
    if key is not None:
        found.update(_misused_key(good, key, at, other_audience))
        found.update(_misused_forms(good, key))
    if internal_key is not None:
        found.update(_misused_internal_key(good, internal_key))
    seen = {good}
    return [(name, token) for name, token in found.items() if not (token in seen or seen.add(token))]  # type: ignore[func-returns-value] # add() says None on purpose


def _shapes(good: str) -> Named:
    header, claims, signature = good.split(".")
    yield from {
        "shape: nothing": "-",
        "shape: a word": "token",
        "shape: dots alone": "..",
        "shape: many dots": "." * 64,
        "shape: one part": header,
        "shape: two parts": f"{header}.{claims}",
        "shape: two parts and a dot": f"{header}.{claims}.",
        "shape: no header": f".{claims}.{signature}",
        "shape: no claims": f"{header}..{signature}",
        "shape: four parts": f"{good}.{signature}",
        "shape: five parts, as encrypted": f"{good}.{signature}.{signature}",
        "shape: dot before": f".{good}",
        "shape: dot after": f"{good}.",
        "shape: twice": f"{good}{good}",
        "shape: two joined by a comma": f"{good},{good}",
        "shape: quoted": f'"{good}"',
        "shape: scheme repeated": f"Bearer {good}",
        "shape: parts turned round": f"{signature}.{claims}.{header}",
        "shape: header twice": f"{header}.{header}.{signature}",
        "shape: blank inside": f"{header}. {claims}.{signature}",
        "shape: tab inside": f"{header}.\t{claims}.{signature}",
        "shape: cut by one": good[:-1],
        "shape: cut by ten": good[:-10],
        "shape: one more": f"{good}A",
        "shape: 10 kB of letters": "A" * 10_000,
        "shape: huge claims": f"{header}.{'A' * 7000}.{signature}",
        "shape: a JSON serialisation": json.dumps({"protected": header, "payload": claims, "signature": signature}),
        "shape: null": "null",
        "shape: an object": "{}",
        "shape: a path": "../../etc/passwd",
        "shape: SQL": "' OR '1'='1",
        "shape: a format": "%s%n{0}${jndi:x}",
    }.items()


def _encodings(good: str) -> Named:
    header, claims, signature = good.split(".")
    for name, part, rebuild in (
        ("header", header, lambda text: f"{text}.{claims}.{signature}"),
        ("claims", claims, lambda text: f"{header}.{text}.{signature}"),
        ("signature", signature, lambda text: f"{header}.{claims}.{text}"),
    ):
        make: Callable[[str], str] = rebuild
        yield f"base64: padded {name}", make(part + "=" * (-len(part) % 4 or 4))
        yield f"base64: {name} ends otherwise", make(_other_ending(part))
        yield f"base64: {name} in the plain alphabet", make(part[:8] + "+/" + part[10:])
        yield f"base64: blank in {name}", make(f"{part[:4]} {part[4:]}")
        yield f"base64: percent in {name}", make(f"{part[:4]}%41{part[5:]}")
        yield f"base64: {name} is four letters short", make(part[:-4])
        yield f"base64: impossible length of {name}", make(part[: len(part) // 4 * 4 - 3])
        yield f"base64: {name} in capitals", make(part.upper())
        yield f"base64: one bit of {name}", make(_flip(part))


def _signatures(good: str) -> Named:
    head, _, signature = good.rpartition(".")
    raw = _decode(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    numbers = {
        "zeros": (0, 0),
        "r zero": (0, s),
        "s zero": (r, 0),
        "ones": (1, 1),
        "the order": (_P256_ORDER, _P256_ORDER),
        "the other s": (r, _P256_ORDER - s),
        "r and s turned round": (s, r),
        "r beyond the order": ((r + _P256_ORDER) % 2**256, s),
        "all bits": (2**256 - 1, 2**256 - 1),
    }
    for name, (first, second) in numbers.items():
        yield f"signature: {name}", f"{head}.{_encode(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"
    der = b"\x30\x44\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:]
    yield "signature: in DER", f"{head}.{_encode(der)}"
    yield "signature: of 32 bytes", f"{head}.{_encode(raw[:32])}"
    yield "signature: of 65 bytes", f"{head}.{_encode(raw + bytes(1))}"
    yield "signature: of 96 bytes, as ES384", f"{head}.{_encode(raw + raw[:32])}"
    yield "signature: in hexadecimal", f"{head}.{raw.hex()}"


def _algorithms(good: str) -> Named:
    """The token's own word for its algorithm."""
    _, claims, signature = good.split(".")
    header = json.loads(_decode(good.split(".", maxsplit=1)[0]))
    for name in ("none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "ES384", "ES512", "ES256K", "EdDSA", "RS256"):
        part = _encode(_json({**header, "alg": name}))
        yield f"alg: {name!r}, signature kept", f"{part}.{claims}.{signature}"
        yield f"alg: {name!r}, without signature", f"{part}.{claims}."
    for value in (None, True, 256, ["ES256"], {"alg": "ES256"}):
        yield f"alg: {value!r}", f"{_encode(_json({**header, 'alg': value}))}.{claims}.{signature}"
    kid = str(header.get("kid", ""))
    for digest in ("sha256", "sha384", "sha512"):
        for name, secret in (("empty", b""), ("kid", kid.encode()), ("word", b"secret"), ("null", b"\x00")):
            head = _encode(_json({**header, "alg": f"HS{digest[3:]}"})) + f".{claims}"
            yield (
                f"alg: HS{digest[3:]} keyed with the {name}",
                f"{head}.{_encode(hmac.digest(secret, head.encode(), digest))}",
            )


def _headers(good: str) -> Named:
    """Header fields that bring a key along or ask for something we do not know."""
    _, claims, _ = good.split(".")
    header = json.loads(_decode(good.split(".", maxsplit=1)[0]))
    own = SigningKey.generate()
    extra: dict[str, Any] = {
        "jwk": own.public_jwk(),
        "jku": "https://attacker.example/keys.json",
        "x5u": "https://attacker.example/chain.pem",
        "x5c": ["MIIB"],
        "x5t": "AAAA",
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "cty": "JWT",
        "enc": "A256GCM",
        "unknown": 1,
    }
    for name, value in extra.items():
        yield f"header: {name}", _signed({**header, name: value}, claims, own)
    yield "header: empty crit", _signed({**header, "crit": []}, claims, own)
    for name, kid in {
        "our own": own.kid,
        "empty": "",
        "a path": "../../../../dev/null",
        "SQL": "x' UNION SELECT 'k' --",
        "a URL": "https://attacker.example/k",
        "a NUL": "k\x00",
        "long": "k" * 300,
        "a number": 7,
        "null": None,
        "a list": [header.get("kid")],
        "true": True,
    }.items():
        yield f"kid: {name}", _signed({**header, "kid": kid}, claims, own)
    for missing in ("alg", "kid", "typ"):
        yield f"header: no {missing}", _signed({k: v for k, v in header.items() if k != missing}, claims, own)
    for typ in ("JWS", "jwt", "at+jwt", "", None, ["JWT"]):
        yield f"typ: {typ!r}", _signed({**header, "typ": typ}, claims, own)
    yield "header: signed by a stranger under our kid", _signed(header, claims, own)
    for name, raw in {
        "a list": b"[]",
        "a string": b'"ES256"',
        "a number": b"1",
        "empty": b"{}",
        "not JSON": b"{alg:ES256}",
        "cut": b'{"alg":"ES256"',
        "not UTF-8": b'{"alg":"ES256","kid":"\xff"}',
        "deep": b'{"alg":' + b"[" * 100 + b"]" * 100 + b"}",
        "alg twice": b'{"alg":"none","alg":"ES256","kid":' + _json(header.get("kid")) + b',"typ":"JWT"}',
        "with a byte-order mark": b"\xef\xbb\xbf" + _json(header),
    }.items():
        yield f"header: {name}", f"{_encode(raw)}.{claims}.{good.rpartition('.')[2]}"


def _bodies(good: str) -> Named:
    """Claims changed under the signature of others."""
    header, claims, signature = good.split(".")
    values = json.loads(_decode(claims))
    changes: dict[str, dict[str, Any]] = {
        "admin": {"roles": ["admin", "user"]},
        "another user": {"sub": _UUID},
        "another session": {"sid": _UUID},
        "a longer life": {"exp": values["exp"] + 3600},
        "a newer version": {"ver": values["ver"] + 1},
        "spaces": {},
    }
    for name, change in changes.items():
        raw = json.dumps({**values, **change}, indent=1).encode()
        yield f"claims: {name}, signature kept", f"{header}.{_encode(raw)}.{signature}"
    yield "claims: in another order", f"{header}.{_encode(_json(dict(reversed(values.items()))))}.{signature}"


def _self_made(good: str) -> Named:
    """Whole tokens signed with keys of the attacker's own."""
    header, claims, _ = good.split(".")
    fields = json.loads(_decode(header))
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for name, scheme in (("RS256", padding.PKCS1v15()), ("PS256", padding.PSS(padding.MGF1(hashes.SHA256()), 32))):
        head = f"{_encode(_json({**fields, 'alg': name}))}.{claims}"
        yield f"self-made: {name}", f"{head}.{_encode(own.sign(head.encode(), scheme, hashes.SHA256()))}"
    curve = ec.generate_private_key(ec.SECP384R1())
    head = f"{_encode(_json({**fields, 'alg': 'ES384'}))}.{claims}"
    r, s = decode_dss_signature(curve.sign(head.encode(), ec.ECDSA(hashes.SHA384())))
    yield "self-made: ES384", f"{head}.{_encode(r.to_bytes(48, 'big') + s.to_bytes(48, 'big'))}"


def _misused_key(good: str, key: SigningKey, at: int, other_audience: str) -> Named:
    """Genuine signatures over wrong claims."""
    header = json.loads(_decode(good.split(".", maxsplit=1)[0]))
    values = json.loads(_decode(good.split(".")[1]))
    values = {**values, "iat": at, "exp": at + 300}
    for missing in values:
        yield f"claim: no {missing}", _signed(header, _encode(_json(_without(values, missing))), key)
    wrong: dict[str, list[Any]] = {
        "exp": [at, at - 1, 0, -1, at + 10**9, 10**30, str(at + 300), float(at + 300), True, None, [at + 300], 1e300],
        "iat": [at + 60, at + 10**6, -1, str(at), float(at), None, True, at - 10**6],
        "nbf": [at + 60, str(at), float(at), None, True, -1],
        "aud": [other_audience, "", None, [values["aud"]], [values["aud"], other_audience], 1, {}],
        "iss": ["another", "", None, [values["iss"]], 1],
        "sub": ["", "1", None, 7, [values["sub"]], values["sub"].upper(), f"{{{values['sub']}}}", "x" * 36],
        "sid": ["", None, 7, values["sid"].replace("-", ""), f"urn:uuid:{values['sid']}"],
        "jti": ["", None, 7, "x"],
        "typ": ["refresh", "internal", "", None, ["access"], "ACCESS"],
        "ver": [-1, None, "1", 1.0, True, 2**63, [1]],
        "roles": [[], "admin", None, ["root"], ["user", "user"], [1], {"admin": True}, ["service"], ["user", None]],
    }
    for name, choices in wrong.items():
        for value in choices:
            if name in values and _json(value) == _json(values[name]):
                continue  # an id without letters has no capitals
            yield (
                f"claim: {name}={str(value)[:44]!r} ({type(value).__name__})",
                _signed(header, _encode(_json({**values, name: value})), key),
            )


def _misused_forms(good: str, key: SigningKey) -> Named:
    """Genuine signatures over bodies that are not one plain JSON object."""
    header = json.loads(_decode(good.split(".", maxsplit=1)[0]))
    raw = _decode(good.split(".")[1])
    for name, body in {
        "a list": b"[" + raw + b"]",
        "a string": _json(raw.decode()),
        "null": b"null",
        "empty": b"{}",
        "not JSON": raw[:-1],
        "not UTF-8": raw[:-1] + b',"x":"\xff"}',
        "sub twice": raw[:-1] + b',"sub":"' + _UUID.encode() + b'"}',
        "roles twice": raw[:-1] + b',"roles":["admin"]}',
        "NaN": raw[:-1] + b',"x":NaN}',
        "deep": raw[:-1] + b',"x":' + b"[" * 60 + b"]" * 60 + b"}",
        "trailing": raw + b"{}",
        "too long": raw[:-1] + b',"x":"' + b"x" * 3000 + b'"}',
        "a lone surrogate": raw[:-1] + b',"x":"\\ud800"}',
    }.items():
        yield f"body: {name}", _signed(header, _encode(body), key)
    claims = good.split(".")[1]
    fields: dict[str, dict[str, Any]] = {
        "crit": {"crit": ["exp"]},
        "jwk": {"jwk": key.public_jwk()},
        "jku": {"jku": "https://x.example"},
        "another typ": {"typ": "at+jwt"},
        "alg none": {"alg": "none"},
        "alg in small letters": {"alg": "es256"},
        "alg HS256": {"alg": "HS256"},
        "a field more": {"cty": "JWT"},
    }
    for name, change in fields.items():
        yield f"genuine header with {name}", _signed({**header, **change}, claims, key)
    public = key.public_jwk()
    pem = (
        serialization.load_pem_private_key(key.pem(), None)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for name, secret in (
        ("PEM", pem),
        ("PEM, stripped", pem.strip()),
        ("JWK", _json(public)),
        ("x", public["x"].encode()),
    ):
        head = f"{_encode(_json({**header, 'alg': 'HS256'}))}.{claims}"
        yield (
            f"key confusion: HS256 with the public {name}",
            f"{head}.{_encode(hmac.digest(secret, head.encode(), 'sha256'))}",
        )


def _misused_internal_key(good: str, internal_key: bytes) -> Named:
    """What a leak of the internal key must not open: the front door."""
    header = json.loads(_decode(good.split(".", maxsplit=1)[0]))
    claims = good.split(".")[1]
    values = json.loads(_decode(claims))
    internal = {**values, "iss": "saras-internal", "typ": "internal"}
    for name, fields, body in (
        ("access claims", {"alg": "HS256", "typ": "JWT"}, values),
        ("access claims and kid", {**header, "alg": "HS256"}, values),
        ("internal claims", {"alg": "HS256", "typ": "JWT"}, internal),
        ("internal claims as ES256", header, internal),
    ):
        head = f"{_encode(_json(fields))}.{_encode(_json(body))}"
        digest = hmac.new(internal_key, head.encode(), hashlib.sha256).digest()
        yield f"internal key: {name}", f"{head}.{_encode(digest)}"


def _signed(header: dict[str, Any], claims: str, key: SigningKey) -> str:
    """A true ES256 signature, s made low as ours are, so that nothing but what is tested is wrong."""
    head = f"{_encode(_json(header))}.{claims}"
    private = serialization.load_pem_private_key(key.pem(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{_encode(r.to_bytes(32, 'big') + min(s, _P256_ORDER - s).to_bytes(32, 'big'))}"


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _other_ending(part: str) -> str:
    """The same bytes to a lenient decoder, when the length leaves bits unused; else another last letter."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1]


def _flip(part: str) -> str:
    raw = bytearray(_decode(part))
    raw[len(raw) // 2] ^= 1
    return _encode(bytes(raw))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
