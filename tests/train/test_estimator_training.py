"""What the estimator of adaptive inference learns: how large the errors are, and what a dearer network would gain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparsr.train.adaptive.estimator import ErrorMaps, train_estimator


@pytest.fixture(scope="module")
def trained():
    """Fine and coarse noise of many strengths. The cheap network's error tells the strength, the gain the grain."""
    random = np.random.default_rng(0)
    maps = []
    for index in range(40):
        strength, coarse = float(random.uniform(4, 40)), index % 3 == 0
        grain = random.normal(0, strength, (10, 10)).repeat(4, 0).repeat(4, 1)
        noise = grain if coarse else random.normal(0, strength, (40, 40))
        cheap = np.full((40, 40), strength**2, np.float32)
        maps.append(ErrorMaps((128 + noise).astype(np.float32), np.stack([cheap * (0.95 if coarse else 0.3), cheap])))
    torch.set_num_threads(1)
    return train_estimator(maps, 16, lambda _: None, steps=200)[1]


def test_it_learns_how_large_the_errors_are(trained):
    assert trained["explained_log_error"] > 0.6


def test_it_learns_what_a_dearer_network_would_gain(trained):
    """Without the loss on gains the dear network's estimate stays at its start and explains nothing."""
    assert trained["explained_gains"] > 0.6
