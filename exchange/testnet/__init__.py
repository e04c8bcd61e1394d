"""A venue that speaks MEXC's protocol, because MEXC has no spot testnet (architecture.md §8)."""
