"""The files that an onboarding writes: statistics, weights, configuration, items, page."""
