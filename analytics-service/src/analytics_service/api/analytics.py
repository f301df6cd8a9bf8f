"""What a user has and how it did, in figures and pictures."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from analytics_service.api.edge import Benchmark, Ctx, From, Subject, To, answer, check_span
from analytics_service.charts import ASSETS, HTML_POLICY, NAMES, asset, render, to_html, to_json
from analytics_service.charts.raster import to_image
from analytics_service.documents import history_document, overview_document, performance_document
from analytics_service.schemas import AnalyticsOut, HistoryOut, PerformanceOut
from analytics_service.usecases.attribution import get_attribution
from analytics_service.usecases.contributing import get_contributions
from analytics_service.usecases.history import get_history
from analytics_service.usecases.overview import get_overview
from analytics_service.usecases.performance import get_performance
from analytics_service.usecases.pictures import draw_from
from saras_common.clock import trading_day
from saras_common.errors import NotFound
from saras_common.schemas import InstrumentName
from saras_common.web import CurrentUser, GatewayCaller, StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["analytics"])

DAY_CACHE = {"Cache-Control": "public, max-age=86400"}
_MEDIA = {"png": "image/png", "svg": "image/svg+xml"}
_CHART_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in ("application/json", "text/html", *_MEDIA.values())}},
    501: {"description": "PNG and SVG cannot be drawn here", "content": {"application/problem+json": {}}},
}


@router.get("/analytics", response_model=AnalyticsOut)
def get_analytics(subject: Subject, caller: CurrentUser, ctx: Ctx) -> Response:
    """What a user has now, as the book says, and how it did."""
    now = ctx.clock.now()
    book = ctx.book.find(subject)
    with ctx.database.for_users(subject) as session:
        overview = get_overview(
            session,
            book,
            subject,
            is_own=subject == caller.user_id,
            today=trading_day(now),
            benchmark=ctx.rules.benchmark,
            risk_free=ctx.rules.risk_free,
        )
    return answer(overview_document(overview, now))


@router.get("/analytics/performance", response_model=PerformanceOut)
def read_performance(
    subject: Subject, ctx: Ctx, first: From = None, last: To = None, benchmark: Benchmark = None
) -> Response:
    """Figures over a period, with their conventions, and the closes they come from."""
    check_span(first, last)
    book = ctx.book.find(subject)
    today = trading_day(ctx.clock.now())
    with ctx.database.for_users(subject) as session:
        performance = get_performance(
            session,
            subject,
            first=first,
            last=last,
            benchmark=benchmark or ctx.rules.benchmark,
            risk_free=ctx.rules.risk_free,
            now=None if book is None else (today, book),
        )
        contributed = get_contributions(session, subject, performance, book)
        attribution = get_attribution(session, subject, performance.history)
    return answer(performance_document(subject, performance, contributed, attribution))


@router.get("/analytics/charts/{name}", response_class=Response, responses=_CHART_ANSWERS)
def get_chart(
    name: str,
    subject: Subject,
    ctx: Ctx,
    chart_format: Annotated[Literal["json", "html", "png", "svg"], Query(alias="format")] = "json",
    first: From = None,
    last: To = None,
    benchmark: Benchmark = None,
) -> Response:
    """A chart: as plotly reads it, as a page of its own, or as a picture where the server has a browser to draw it."""
    check_span(first, last)
    if name not in NAMES:
        raise NotFound
    book = ctx.book.find(subject)
    with ctx.database.for_users(subject) as session:
        history = draw_from(
            session,
            subject,
            book,
            title="Portfolio",
            first=first,
            last=last,
            benchmark=benchmark or ctx.rules.benchmark,
            risk_free=ctx.rules.risk_free,
            today=trading_day(ctx.clock.now()),
        )
    figure = render(name, history)
    if chart_format == "json":
        return Response(to_json(figure), media_type="application/json")
    if chart_format == "html":
        return Response(
            to_html(figure),
            media_type="text/html",
            headers={"Content-Security-Policy": HTML_POLICY},
        )
    picture = to_image(figure, chart_format, chromium=ctx.rules.chromium)
    return Response(picture, media_type=_MEDIA[chart_format])


@router.get("/analytics/{name}.js", include_in_schema=False)
def get_asset(name: str, _caller: GatewayCaller) -> Response:
    """The scripts a chart's page loads, for anybody: a page asks for them without a token."""
    script = f"{name}.js"
    if script not in ASSETS:
        raise NotFound
    return Response(asset(script), media_type="text/javascript", headers=DAY_CACHE)


@router.get("/analytics/history/{instrument}", response_model=HistoryOut)
def read_history(
    instrument: InstrumentName,
    _caller: CurrentUser,
    ctx: Ctx,
    first: From = None,
    last: To = None,
    interval: Literal["day", "week", "month"] = "day",
    adjusted: Annotated[Literal["true", "false"], Query()] = "true",
) -> Response:
    """An instrument's prices, a year up to today unless told; a session without prices is shown as a gap."""
    last = last or trading_day(ctx.clock.now())
    first = first or last.replace(year=last.year - 1, day=min(last.day, 28))
    check_span(first, last)
    is_adjusted = adjusted == "true"
    with ctx.database.for_service() as session:
        bars = get_history(session, instrument, first, last, interval, adjusted=is_adjusted)
    return answer(history_document(instrument, interval, bars, adjusted=is_adjusted))
