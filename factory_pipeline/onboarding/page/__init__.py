"""The dataset page: one HTML file that needs no network."""
