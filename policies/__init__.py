"""The rules of what is allowed: policy documents, limits, guards, exposure, quorums.

Pure; ``gates`` and ``controller`` use them.
"""
