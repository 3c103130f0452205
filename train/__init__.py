"""Trains and prunes super-resolution networks. Needs torch."""
