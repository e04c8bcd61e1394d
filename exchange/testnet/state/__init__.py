"""Keeps a testnet's accounts, orders, trades and ids in a directory, across restarts (ADR 33)."""
