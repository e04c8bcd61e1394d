"""What bots and operators may ask: the ports of the gateway and the console, on top of the writer."""
