"""Turns trained checkpoints into bundles: slimming, graph passes, ONNX and TFLite files, parity certificate."""
