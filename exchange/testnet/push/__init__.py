"""The testnet's websocket pushes: channels, sessions, and the queues of messages."""
