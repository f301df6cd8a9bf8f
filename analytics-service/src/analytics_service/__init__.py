"""Trade store, marks, returns, risk, charts, reports; post-trade validation and enrichment."""
