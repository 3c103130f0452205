"""Pictures and films: reading and writing them."""
