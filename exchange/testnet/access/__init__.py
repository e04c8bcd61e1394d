"""Who may call the testnet, how often, and as whom: keys, listen keys, limits, self-trade groups."""
