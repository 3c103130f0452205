"""Training of the estimator of adaptive inference."""
