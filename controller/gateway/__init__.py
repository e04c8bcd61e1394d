"""MEXC's own API, offered to bots: what governs a bot is its base URL and its key."""
