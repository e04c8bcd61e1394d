"""Everything that speaks to a venue; it knows nothing above it."""
