"""What follows the writer's batches: recent history, traces, checkpoints, the latch file, disk space. Made by the assembly."""
