"""The ports of the gateway and the console, implemented with the writer. ``runtime.assembly`` and ``bootstrap`` create them."""
