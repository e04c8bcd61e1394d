"""The signer: a process of its own that holds the exchange secrets and signs for the controller (ops/docs/signer.md).

``service``, ``grants`` and ``ledger`` run in that process; ``remote`` is the controller's side of the socket between the two.
"""
