"""The MEXC adapter: HTTP client, streams, clock, rate limits and signer."""
