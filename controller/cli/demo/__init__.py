"""`gatehouse demo`: shows a deployment from mock money to a halt on this machine, with numbers measured in that run."""
