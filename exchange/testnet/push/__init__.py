"""The testnet's websocket side: channels, sessions, and what waits to be sent."""
