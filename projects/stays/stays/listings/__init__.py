"""Properties, cities, amenities."""
