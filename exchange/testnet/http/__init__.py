"""The testnet's HTTP side: endpoints, their schema, the page and the control API."""
