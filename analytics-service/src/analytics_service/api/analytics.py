"""What a user has and how it did."""

from fastapi import APIRouter, Response

from analytics_service.api.edge import Ctx, Subject, answer
from analytics_service.documents import overview_document
from analytics_service.usecases.overview import get_overview
from saras_common.web import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["analytics"])


@router.get("/analytics")
def get_analytics(subject: Subject, ctx: Ctx) -> Response:
    """What a user has now, as the book says, and how it did."""
    with ctx.database.for_users(subject) as session:
        overview = get_overview(session, ctx.book, subject)
    return answer(overview_document(overview))
