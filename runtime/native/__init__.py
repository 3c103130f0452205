"""libsparsr, the native engine: C++ sources, their build and their Python interface."""
