"""Every route of this service."""

from portfolio_service.api import entry, funds, internal, orders, portfolios, trades

routers = (
    entry.router,
    entry.internal,
    internal.router,
    orders.router,
    funds.router,
    funds.admin,
    portfolios.router,
    trades.router,
)
