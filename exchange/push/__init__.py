"""What a venue pushes on its streams, apart from its connections: the testnet and the gateway both use it."""
