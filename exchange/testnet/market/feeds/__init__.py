"""Sources of the testnet's market: recorded tapes, a seeded generator, or live data."""
