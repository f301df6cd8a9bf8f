"""The smallcases that ship with the platform: managed by nobody, there for everybody."""

import json
from importlib.resources import files
from uuid import NAMESPACE_URL, UUID, uuid5

from saras_common.auth.identity import NOBODY
from saras_common.errors import CallerError
from smallcase_service.domain.proposals import Proposal
from smallcase_service.schemas import SmallcaseIn
from smallcase_service.usecases.composing import create_smallcase
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import read_board


def sample_proposals() -> dict[UUID, Proposal]:
    """The shipped smallcases by id; the id comes from the name, so that they are made once."""
    shipped = json.loads(files("smallcase_service").joinpath("samples.json").read_text(encoding="utf-8"))
    return {
        uuid5(NAMESPACE_URL, f"urn:saras:smallcase:{one['name']}"): SmallcaseIn.model_validate(one).proposal()
        for one in shipped
    }


class Samples:
    """Those not made yet: each is, once all its shares are listed and priced."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._waiting = sample_proposals()

    def make(self) -> None:
        """Make what can be made now."""
        for smallcase_id, proposal in list(self._waiting.items()):
            if self._make(smallcase_id, proposal):
                del self._waiting[smallcase_id]

    def _make(self, smallcase_id: UUID, proposal: Proposal) -> bool:
        with self._ctx.database.for_service() as session:
            board = read_board(session, proposal.names)
            if any(board.price(name) is None for name in proposal.names):
                return False
            try:
                create_smallcase(session, self._ctx, NOBODY, proposal, smallcase_id)
            except CallerError:
                return False  # a share it names is no longer listed, perhaps
        return True
