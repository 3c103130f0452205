"""From a DeployGraph to files: ONNX, TFLite, the native engine's program, the bundle."""
