"""Access tokens, internal tokens and keys; PyJWT is the oracle."""

import threading
from uuid import UUID

import jwt
import pytest

from saras_common.auth import (
    ACCESS_AUDIENCE,
    ISSUER,
    Identity,
    InternalTokens,
    InternalVerifier,
    InvalidToken,
    PublishedKeys,
    SigningKey,
    TokenSigner,
    TokenVerifier,
    UnknownKey,
    anonymous,
    key_set,
    service,
)
from saras_common.errors import Unauthenticated, Unavailable

USER = UUID("01900000-0000-7000-8000-0000000000aa")
SESSION = UUID("01900000-0000-7000-8000-0000000000bb")
SECRET = b"an internal key of 32 bytes, or so"


@pytest.fixture(scope="module")
def key():
    return SigningKey.generate()


@pytest.fixture
def identity(manual_clock):
    return Identity(USER, SESSION, frozenset({"user", "admin"}), 7, manual_clock.now().timestamp() + 600)


@pytest.fixture
def signer(key, manual_clock):
    return TokenSigner(lambda: key, manual_clock)


@pytest.fixture
def keys(key, manual_clock):
    keys = PublishedKeys(manual_clock)
    keys.load(key_set([key]))
    return keys


@pytest.fixture
def verifier(keys, manual_clock):
    return TokenVerifier(keys, manual_clock)


def test_a_signed_token_speaks_for_its_identity(signer, verifier, identity):
    assert verifier.verify(signer.sign(identity, 600)) == identity
    assert identity.is_user
    assert identity.is_admin
    assert not identity.is_service


def test_the_oracle_reads_what_we_sign(signer, key, identity):
    token = signer.sign(identity, 600)
    claims = jwt.decode(
        token,
        jwt.PyJWK(key.public_jwk()).key,
        algorithms=["ES256"],
        audience=ACCESS_AUDIENCE,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "jti", "sub", "aud", "iss"]},
    )
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": key.kid, "typ": "JWT"}
    assert UUID(claims.pop("jti"))
    assert claims.pop("exp") - claims.pop("iat") == 600
    assert claims == {
        "aud": ACCESS_AUDIENCE,
        "iss": ISSUER,
        "sub": str(USER),
        "sid": str(SESSION),
        "typ": "access",
        "ver": 7,
        "roles": ["admin", "user"],
    }


def test_we_read_what_the_oracle_signs(key, verifier, identity, manual_clock):
    """Signed until s is low: of the two forms of a signature ours is the lower."""
    now = int(manual_clock.now().timestamp())
    claims = {
        "aud": ACCESS_AUDIENCE,
        "iss": ISSUER,
        "sub": str(USER),
        "sid": str(SESSION),
        "jti": str(SESSION),
        "typ": "access",
        "ver": 7,
        "roles": ["user", "admin"],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    for _ in range(64):
        token = jwt.encode(claims, key.pem(), algorithm="ES256", headers={"kid": key.kid})
        if int.from_bytes(jwt.utils.base64url_decode(token.rpartition(".")[2])[32:], "big") < 2**254:
            break
    assert verifier.verify(token) == identity


def test_every_signature_of_ours_is_of_the_low_form(signer, verifier, identity):
    for _ in range(40):
        raw = jwt.utils.base64url_decode(signer.sign(identity, 600).rpartition(".")[2])
        assert int.from_bytes(raw[32:], "big") <= 0x7FFFFFFF800000007FFFFFFFFFFFFFFFDE737D56D38BCF4279DCE5617E3192A8


def test_a_token_ends_at_its_second_also_when_it_is_remembered(signer, verifier, identity, manual_clock):
    token = signer.sign(identity, 10)
    manual_clock.advance(8)
    assert verifier.verify(token).user_id == USER
    manual_clock.advance(1.9)
    assert verifier.verify(token).user_id == USER
    manual_clock.advance(0.2)
    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_another_machines_clock_may_be_a_little_ahead_and_no_more(signer, verifier, identity, manual_clock):
    manual_clock.advance(2)
    near = signer.sign(identity, 600)
    manual_clock.advance(3)
    far = signer.sign(identity, 600)
    manual_clock.advance(-5)
    assert verifier.verify(near).user_id == USER
    with pytest.raises(InvalidToken):
        verifier.verify(far)


def test_a_token_for_another_audience_or_issuer_is_refused(signer, keys, identity, manual_clock):
    token = signer.sign(identity, 600)
    for changed in ({"audience": "other"}, {"issuer": "other"}):
        with pytest.raises(InvalidToken):
            TokenVerifier(keys, manual_clock, **changed).verify(token)


def test_verified_tokens_are_remembered_for_seconds_only(signer, keys, identity, manual_clock):
    verifier = TokenVerifier(keys, manual_clock, remember_s=5)
    token = signer.sign(identity, 600)
    verifier.verify(token)
    keys.load(key_set([SigningKey.generate()]))
    assert verifier.verify(token) == identity
    manual_clock.advance(5)
    with pytest.raises(UnknownKey):
        verifier.verify(token)


def test_memory_is_bounded_and_the_oldest_goes_first(signer, keys, identity, manual_clock):
    verifier = TokenVerifier(keys, manual_clock, remember_limit=3)
    tokens = [signer.sign(identity, 600) for _ in range(5)]
    for token in tokens:
        verifier.verify(token)
    remembered = verifier._remembered
    assert len(remembered) == 3
    assert remembered.find(tokens[0], manual_clock.monotonic()) is None
    assert remembered.find(tokens[4], manual_clock.monotonic()) == identity


def test_bad_tokens_are_not_remembered(signer, verifier, identity):
    token = signer.sign(identity, 600)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            verifier.verify(token[:-2] + "AA")
    assert len(verifier._remembered) == 0


def test_a_token_lives_at_most_an_hour(signer, identity):
    for ttl_s in (0, -1, 3601):
        with pytest.raises(ValueError, match="hour"):
            signer.sign(identity, ttl_s)


# --- the published set ------------------------------------------------------------------------------------------


def test_an_unknown_key_makes_the_set_read_again_at_most_every_few_seconds(identity, manual_clock):
    old, new = SigningKey.generate(), SigningKey.generate()
    served, reads = [old], []

    def fetch():
        reads.append(1)
        return key_set(served)

    keys = PublishedKeys(manual_clock, fetch, min_interval_s=3)
    verifier = TokenVerifier(keys, manual_clock)
    verifier.verify(TokenSigner(lambda: old, manual_clock).sign(identity, 600))
    served.append(new)
    token = TokenSigner(lambda: new, manual_clock).sign(identity, 600)
    for _ in range(50):
        with pytest.raises(UnknownKey):
            verifier.verify(token)
    assert len(reads) == 1
    manual_clock.advance(3)
    assert verifier.verify(token).user_id == USER
    assert len(reads) == 2


def test_a_set_that_cannot_be_read_leaves_the_old_one_in_force(signer, key, identity, manual_clock):
    answers = [key_set([key])]

    def fetch():
        return answers.pop()

    keys = PublishedKeys(manual_clock, fetch)
    verifier = TokenVerifier(keys, manual_clock, remember_s=0)
    verifier.verify(signer.sign(identity, 600))
    manual_clock.advance(10)
    with pytest.raises(UnknownKey):
        verifier.verify(TokenSigner(SigningKey.generate, manual_clock).sign(identity, 600))
    assert verifier.verify(signer.sign(identity, 600)).user_id == USER


def test_before_any_set_was_read_the_answer_is_not_401(signer, identity, manual_clock):
    def fetch():
        raise OSError

    for keys in (PublishedKeys(manual_clock), PublishedKeys(manual_clock, fetch)):
        with pytest.raises(Unavailable):
            TokenVerifier(keys, manual_clock).verify(signer.sign(identity, 600))
        with pytest.raises(InvalidToken):
            TokenVerifier(keys, manual_clock).verify("no token at all")


def test_an_event_loop_feeds_the_set_itself(signer, key, identity, manual_clock):
    keys = PublishedKeys(manual_clock)
    keys.load(key_set([SigningKey.generate()]))
    verifier = TokenVerifier(keys, manual_clock)
    token = signer.sign(identity, 600)
    with pytest.raises(UnknownKey):
        verifier.verify(token)
    assert keys.due()
    assert not keys.due()
    keys.load(key_set([key]))
    assert verifier.verify(token).user_id == USER


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": "AAAA"},
        {"d": "AAAA"},
        {"crv": "P-384"},
        {"alg": "HS256"},
        {"use": "enc"},
        {"kid": "chosen"},
        {"kid": 7},
        {"x": "AAAA"},
        {"y": "A" * 43},
        {"x": "!"},
        {"x": None},
        {"key_ops": ["sign"]},
    ],
)
def test_only_our_own_kind_of_public_key_is_believed(key, manual_clock, change):
    keys = PublishedKeys(manual_clock)
    with pytest.raises(ValueError, match=r"key|point|coordinate"):
        keys.load({"keys": [{**key.public_jwk(), **change}]})
    assert len(keys) == 0


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": []}, {"keys": {}}, {"keys": [None] * 17}])
def test_a_document_that_is_no_key_set_is_refused(manual_clock, document):
    with pytest.raises(ValueError, match="key set"):
        PublishedKeys(manual_clock).load(document)


def test_a_key_survives_its_pem_and_shows_nothing_of_itself(key):
    again = SigningKey.from_pem(key.pem())
    assert (again.kid, again.public_jwk()) == (key.kid, key.public_jwk())
    assert "PRIVATE" not in repr(key)
    assert "d" not in key.public_jwk()


def test_other_curves_are_not_signing_keys():
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="P-256"):
        SigningKey.from_pem(pem)


# --- internal tokens --------------------------------------------------------------------------------------------


def test_an_internal_token_speaks_for_its_identity_to_one_service(identity, manual_clock):
    tokens = InternalTokens(SECRET, manual_clock)
    token = tokens.mint(identity, "portfolio-service")
    found = InternalVerifier(tokens, "portfolio-service").verify(token)
    assert (found.user_id, found.session_id, found.roles, found.version) == (USER, SESSION, identity.roles, 7)
    assert found.expires_at == manual_clock.now().timestamp() + 30
    with pytest.raises(InvalidToken):
        InternalVerifier(tokens, "user-service").verify(token)
    with pytest.raises(InvalidToken):
        InternalTokens(SECRET[::-1], manual_clock).verify(token, "portfolio-service")


def test_minted_tokens_are_given_again_until_half_their_life(identity, manual_clock):
    tokens = InternalTokens(SECRET, manual_clock)
    first = tokens.mint(identity, "a")
    manual_clock.advance(14)
    assert tokens.mint(identity, "a") == first
    assert tokens.mint(identity, "b") != first
    manual_clock.advance(2)
    assert tokens.mint(identity, "a") != first


def test_internal_tokens_end_also_when_remembered_and_never_outlive_the_access_token(identity, manual_clock):
    tokens = InternalTokens(SECRET, manual_clock)
    token = tokens.mint(identity, "a")
    tokens.verify(token, "a")
    manual_clock.advance(30)
    with pytest.raises(InvalidToken):
        tokens.verify(token, "a")
    manual_clock.advance(560)
    last = tokens.verify(tokens.mint(identity, "a"), "a")
    assert last.expires_at == identity.expires_at


def test_an_internal_token_lives_at_most_a_minute(identity, manual_clock):
    tokens = InternalTokens(SECRET, manual_clock)
    with pytest.raises(ValueError, match="minute"):
        tokens.mint(identity, "a", 61)
    claims = jwt.decode(tokens.mint(identity, "a"), options={"verify_signature": False})
    long = jwt.encode({**claims, "exp": claims["iat"] + 61}, SECRET, algorithm="HS256")
    with pytest.raises(InvalidToken):
        tokens.verify(long, "a")
    short = jwt.encode({**claims, "exp": claims["iat"] + 60}, SECRET, algorithm="HS256")
    assert tokens.verify(short, "a").user_id == USER


def test_neither_kind_passes_for_the_other(signer, verifier, identity, manual_clock):
    tokens = InternalTokens(SECRET, manual_clock)
    with pytest.raises(InvalidToken):
        verifier.verify(tokens.mint(identity, ACCESS_AUDIENCE))
    with pytest.raises(InvalidToken):
        tokens.verify(signer.sign(identity, 60), ACCESS_AUDIENCE)


def test_callers_that_are_no_people(manual_clock):
    tokens = InternalTokens(SECRET, manual_clock)
    soon = manual_clock.now().timestamp() + 60
    visitor = tokens.verify(tokens.mint(anonymous(soon), "a"), "a")
    process = tokens.verify(tokens.mint(service(soon), "a"), "a")
    assert (visitor.is_user, visitor.is_admin, visitor.is_service) == (False, False, False)
    assert (process.is_user, process.is_admin, process.is_service) == (False, False, True)


def test_a_short_internal_key_is_refused(manual_clock):
    with pytest.raises(ValueError, match="32 bytes"):
        InternalTokens(b"short", manual_clock)


def test_threads_share_a_verifier(signer, keys, identity, manual_clock):
    verifier = TokenVerifier(keys, manual_clock, remember_limit=10)
    tokens = [signer.sign(identity, 600) for _ in range(40)]
    wrong = []

    def work():
        try:
            for token in tokens * 3:
                assert verifier.verify(token) == identity
        except Exception as error:  # noqa: BLE001 - shown below
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_refusal_is_a_401_and_says_nothing():
    error = InvalidToken()
    assert isinstance(error, Unauthenticated)
    assert (error.status, str(error)) == (401, "Sign in first")
