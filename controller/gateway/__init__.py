"""MEXC's spot API for governed bots. A bot is governed by pointing its base URL and key here; bootstrap serves it."""
