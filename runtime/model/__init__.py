"""What a bundle holds: card, files, plain or adaptive."""
