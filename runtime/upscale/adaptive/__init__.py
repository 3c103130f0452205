"""Adaptive inference: every patch of a picture by the cheapest network that serves it (SLS, Eq. 8)."""
