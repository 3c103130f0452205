"""Rounding of Winograd's filtering by tile and points: float32 against float64, 48 channels; a line for each."""

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def matrices(points: list[float], results: int) -> tuple[Matrix, Matrix, Matrix]:
    """A^T, G and B^T of F(results, 3) at finite points and infinity."""
    n = results + 2
    to_results, filters, inputs = np.zeros((results, n)), np.zeros((n, 3)), np.zeros((n, n))
    for i, point in enumerate(points):
        others = [other for other in points if other != point]
        to_results[:, i] = point ** np.arange(results)
        filters[i] = point ** np.arange(3) / np.prod([point - other for other in others])
        inputs[i, : n - 1] = polynomial.polyfromroots(others)
    to_results[-1, -1] = filters[-1, -1] = 1
    inputs[-1] = polynomial.polyfromroots(points)
    return to_results, filters, inputs


def largest_error(points: list[float], results: int, channels: int = 48) -> float:
    """The largest error of 200 tiles of uniform inputs, of the largest result."""
    to_results, g, inputs = matrices(points, results)
    rng, n = np.random.default_rng(0), results + 2
    x = rng.random((200, channels, n, n))
    weights = rng.normal(0, (9 * channels) ** -0.5, (8, channels, 3, 3))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    wanted = np.einsum("tcyxij,ocij->toyx", windows, weights)
    transformed = np.einsum("ij,ocjk,lk->ocil", g, weights, g).astype("f4")
    b, a = inputs.astype("f4"), to_results.astype("f4")
    seen = np.einsum("ij,tcjk,lk->tcil", b, x.astype("f4"), b)
    products = np.zeros((200, 8, n, n), np.float32)
    for channel in range(channels):
        products += seen[:, None, channel] * transformed[None, :, channel]
    return float(np.abs(np.einsum("ij,tojk,lk->toil", a, products, a) - wanted).max() / np.abs(wanted).max())


if __name__ == "__main__":
    six, eight = [0, 1, -1, 2, -2], [0, 1, -1, 2, -2, 0.5, -0.5]
    print(f"4x4 {largest_error(six, 4):.1e}\n6x6 {largest_error(eight, 6):.1e}")
    for more in (1.5, 2 / 3, 3, 4, 0.25):
        print(f"8x8, {more:.3g} besides: {largest_error([*eight, more, -more], 8):.1e}")
