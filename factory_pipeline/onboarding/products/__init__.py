"""What an onboarding writes: statistics, weights, configuration, items, page."""
