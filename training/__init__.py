"""Learning: scenes and data sets, losses, the tiny base, SAC on it, and the benchmark."""
