"""Every route of this service."""

from portfolio_service.api import entry, funds, orders, portfolios, trades

routers = (entry.router, entry.internal, orders.router, funds.router, funds.admin, portfolios.router, trades.router)
