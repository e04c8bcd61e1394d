"""The matching engine without I/O. The mock executor and the testnet call it."""
