"""What is allowed: policy documents, limits, guards, exposure and quorums. Pure."""
