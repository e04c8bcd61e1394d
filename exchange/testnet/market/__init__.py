"""Where the testnet's market comes from and what it remembers of it."""
