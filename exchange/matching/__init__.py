"""The pure matching engine that the mock executor and the testnet share."""
