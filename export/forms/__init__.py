"""What each model format offers to write into, tensor by tensor and operator by operator; nothing about layers."""
