"""The book: funds, holds, orders, the ledger, holdings and PnL. The only way an order enters the platform."""
