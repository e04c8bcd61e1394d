"""MEXC's protocol without I/O, in both directions. The client, the testnet and the gateway read and write with it."""
