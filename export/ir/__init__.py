"""DeployGraph, the exporter's intermediate representation, and what its layers mean."""
