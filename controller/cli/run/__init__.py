"""The verbs that start a process: a testnet, a witness."""
