"""The testnet's HTTP server: endpoints, their schema, the page and the control API."""
