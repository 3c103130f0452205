"""Training and statistics of SMSR's masks."""
