"""Pure decisions about baskets: weights, sizes, runs, dates, figures. Prices are paise, weights parts of a million."""
