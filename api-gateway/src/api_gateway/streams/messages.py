"""What a client may say over a WebSocket."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from api_gateway.streams.errors import BadMessage
from api_gateway.streams.quotes import MOST_A_CONNECTION
from saras_common import jsonio
from saras_common.auth.compact import MAX_TOKEN_CHARS
from saras_common.schemas import InstrumentName, Strict

Names = Annotated[list[InstrumentName], Field(min_length=1, max_length=MOST_A_CONNECTION)]


class Auth(Strict):
    """The first message where the handshake brought no token, and later a fresh token in place of an old one."""

    type: Literal["auth"]
    token: str = Field(max_length=MAX_TOKEN_CHARS)


class Subscribe(Strict):
    """Quotes of these instruments, besides those already subscribed."""

    type: Literal["subscribe"]
    instruments: Names


class Unsubscribe(Strict):
    """No more quotes of these."""

    type: Literal["unsubscribe"]
    instruments: Names


Said = Auth | Subscribe | Unsubscribe
_SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="type")])


def read(text: str) -> Said:
    """The message in ``text``; `BadMessage` when it is none of these. What was sent is never repeated."""
    try:
        return _SAID.validate_python(jsonio.loads(text.encode("utf-8", "surrogatepass")))
    except (jsonio.BadJson, ValidationError) as error:
        raise BadMessage from error
