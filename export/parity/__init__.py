"""The certificate that every file computes what the trained network computes."""
