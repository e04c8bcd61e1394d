"""A simulated venue with MEXC's protocol, because MEXC has no spot testnet (architecture.md §8)."""
