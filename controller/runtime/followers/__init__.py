"""What follows the writer's batches: recent memory, traces, checkpoints, the latch file, disk space."""
