"""Access to the testnet: keys, listen keys, rate limits, self-trade prevention groups."""
