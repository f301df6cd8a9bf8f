"""Reports: made while one waits, or asked for and fetched."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from analytics_service.api.edge import Ctx, Subject, answer, id_in_cursor, id_in_path
from analytics_service.documents import report_document
from analytics_service.reports import NAMES, Document
from analytics_service.schemas import EARLIEST, LATEST, Day, ReportIn, ReportOut, ReportsOut
from analytics_service.store import reports as stored
from analytics_service.usecases import reports
from saras_common.auth import Identity
from saras_common.errors import Forbidden, NotFound
from saras_common.schemas import Limit, encode_cursor
from saras_common.web import CurrentUser, StrictRoute

router = APIRouter(route_class=StrictRoute, prefix="/reports", tags=["reports"])

_FILE = re.compile(r"([a-z_]+?)_(\d{6}|\d{8})\.(csv|pdf)")
_FILE_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}, "application/pdf": {}}}}
Password = Annotated[
    str | None, Header(alias="X-Report-Password", min_length=4, max_length=64, pattern=r"^[\x21-\x7e]+$")
]


@router.get("", response_model=ReportsOut)
def list_reports(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """What can be had, and what I asked for, newest first; administrators also see those about all users."""
    with reports.visible_to(ctx, caller) as session:
        found = stored.list_reports(
            session,
            caller.user_id,
            with_all_users=caller.is_admin,
            before=id_in_cursor(cursor),
            limit=limit + 1,
        )
    page = found[:limit]
    return answer(
        {
            "available": NAMES,
            "items": [report_document(report) for report in page],
            "next_cursor": encode_cursor(str(page[-1].id)) if len(found) > limit else None,
        }
    )


@router.post("", status_code=202, response_model=ReportOut)
def ask_for_report(body: ReportIn, caller: CurrentUser, ctx: Ctx) -> Response:
    """Have a report made; about all users only for administrators."""
    if body.all_users and not caller.is_admin:
        raise Forbidden
    report = reports.queue_report(ctx, body.name, caller.user_id, body.date, all_users=body.all_users)
    return answer(report_document(report), 202)


@router.get("/runs/{report_id}", response_model=ReportOut)
def get_run(report_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """How far a report is."""
    return answer(report_document(_mine(ctx, caller, report_id)))


@router.get("/runs/{report_id}/content", response_class=Response, responses=_FILE_ANSWERS)
def get_content(report_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """The file of a report that is done."""
    report = _mine(ctx, caller, report_id)
    with reports.visible_to(ctx, caller) as session:
        found = stored.find_content(session, report.id)
    if found is None:
        raise NotFound("The report is not done")
    return _file(Document(*found))


@router.get("/{name}", response_class=Response, responses=_FILE_ANSWERS)
def get_report(
    name: str,
    subject: Subject,
    ctx: Ctx,
    day: Annotated[Day | None, Query(alias="date")] = None,
    password: Password = None,
) -> Response:
    """A report of a day, today's unless told, as ``positions`` or as ``positions_YYYYMMDD.csv``.

    A PDF is encrypted with the password in ``X-Report-Password``, where there is one.
    """
    kind, named_day = _named(name)
    document = reports.build_report(ctx, kind, subject, named_day or day, password=password or "")
    return _file(document)


def _named(name: str) -> tuple[str, date | None]:
    """The report and the day in a file's name, or the report alone."""
    match = _FILE.fullmatch(name)
    if match is None:
        return name, None
    digits = match[2] if len(match[2]) == len("YYYYMMDD") else match[2] + "01"
    try:
        day = datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 - a date alone
    except ValueError:
        raise NotFound from None
    if not EARLIEST <= day <= LATEST:
        raise NotFound
    return match[1], day


def _mine(ctx: Ctx, caller: Identity, report_id: str) -> stored.Report:
    wanted = id_in_path(report_id)
    with reports.visible_to(ctx, caller) as session:
        report = stored.find_report(session, wanted)
    if report is None or not (report.owner_id == caller.user_id or (report.all_users and caller.is_admin)):
        raise NotFound
    return report


def _file(document: Document) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{document.filename}"',
        "Cache-Control": "no-store",
    }
    return Response(document.content, media_type=document.media_type, headers=headers)
