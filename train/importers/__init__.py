"""Official checkpoints of other projects, recognised by their keys and tensor shapes."""
