"""One message to everybody."""

from uuid import UUID

from notification_service.domain.kinds import Kind
from notification_service.domain.news import News
from notification_service.store import people
from notification_service.usecases.context import Context
from notification_service.usecases.telling import tell

PART = 1000


def broadcast(context: Context, title: str, body: str, *, key: str | None) -> tuple[str, int]:
    """Tell every active user; the broadcast's name and how many were told. The same ``key`` again tells nobody twice.

    A thousand users a transaction: what a crash leaves undone, the same key does later.
    """
    name = key or str(context.new_id())
    now = context.clock.now()
    data = {"at": now.isoformat(), "title": title, "body": body}
    told = 0
    after = UUID(int=0)
    while True:
        with context.database.for_service() as session:
            users = people.list_active(session, after=after, limit=PART)
            if not users:
                return name, told
            tell(context, session, [News(user, Kind.BROADCAST, f"broadcast:{name}", now, data) for user in users])
        told += len(users)
        after = users[-1]
