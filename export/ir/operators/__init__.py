"""The layer kinds, a file per family: parameters, shape, reference and every file format's form."""
