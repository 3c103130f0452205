"""Engines on NVIDIA GPUs: PyTorch in its ways of running a network, and ONNX Runtime's CUDA provider."""
