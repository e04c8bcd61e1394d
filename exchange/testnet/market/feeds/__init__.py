"""Where the testnet's market comes from: recorded tapes, or a seeded generator."""
