"""The MEXC adapter: HTTP client, streams, clock, rate limits and signer. The controller's bootstrap builds it."""
