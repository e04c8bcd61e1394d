"""`gatehouse demo`: the whole story on this machine, from mock money to a halt, with every number measured while it runs."""
