"""Training images and the low-resolution pictures made of them."""
