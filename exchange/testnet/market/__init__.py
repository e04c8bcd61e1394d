"""The testnet's market data: its feeds, playback and history."""
