from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sparsr.export.ir import layers, reference
from sparsr.export.ir.operators.activation import FUNCTIONS
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import RESIZING, chain, random_image, small_network, torch_run
from tests.export.layer_graphs import layer_graphs

GRAPHS = {**layer_graphs(), "small_network": small_network()}
SIZES = [(1, 1), (1, 6), (5, 1), (3, 3), (7, 13), (16, 9)]


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_layer_kind_equals_torch(name, height, width):
    graph = GRAPHS[name]
    image = random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size)) - 0.3
    result = reference.run(graph, image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, torch_run(graph, image), rtol=1e-5, atol=2e-6 * graph.value_range)


def test_every_layer_kind_is_covered():
    kinds = {type(node.layer) for graph in GRAPHS.values() for node in graph.nodes}
    assert kinds == set(layers.KINDS)


def test_every_function_is_covered():
    drawn = [node.layer for graph in GRAPHS.values() for node in graph.nodes]
    drawn += [activation for layer in drawn if (activation := getattr(layer, "activation", None))]
    assert {layer.function for layer in drawn if isinstance(layer, layers.Activation)} == set(FUNCTIONS)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (7, 3), (3, 1), (1, 2)])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (8, 11), (10, 23)])
def test_max_pool_equals_torch(kernel, stride, height, width):
    image = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
    result = reference.apply(layers.MaxPool(kernel, stride), image)
    assert np.array_equal(result, F.max_pool2d(torch.from_numpy(image), kernel, stride).numpy())


@pytest.mark.parametrize("mode", RESIZING)
@pytest.mark.parametrize("source", [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize("target", [(1, 1), (7, 2), (15, 17), (3, 40)])
def test_resizing_equals_torch(source, target, mode):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 2, *source)).astype(np.float32)
    like = np.zeros((1, 5, *target), np.float32)
    expected = F.interpolate(torch.from_numpy(image), target, **RESIZING[mode]).numpy()
    np.testing.assert_allclose(reference.apply(layers.ResizeLike(mode), image, like), expected, atol=1e-5)


def test_sigmoid_does_not_overflow():
    with np.errstate(over="raise"):
        result = reference.apply(layers.Activation("sigmoid"), np.float32([[[[-1e4, 0.0, 1e4]]]]))
    assert result.ravel().tolist() == [0.0, 0.5, 1.0]


def test_batches_run_image_by_image():
    graph = small_network()
    first, second = random_image(graph, 4, 5, 1), random_image(graph, 4, 5, 2)
    both = reference.run(graph, np.concatenate([first, second]))
    np.testing.assert_allclose(both[1:], reference.run(graph, second), atol=1e-4)


def test_a_tensor_that_is_the_result_and_read_again_survives():
    graph = chain("g", ("a", layers.Activation("relu"), ["image"]), ("b", layers.Activation("sigmoid"), ["a"]))
    graph = graph.with_nodes(list(graph.nodes), output="a")
    assert reference.run(graph, np.ones((1, 3, 2, 2), np.float32)).max() == 1


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 4, 8, 8), (1, 3, 2, 8), (1, 3, 8, 0)])
def test_impossible_images_are_refused(shape):
    graph = chain("g", layers.MaxPool(3, 2), minimum_size=3)
    with pytest.raises(SparsrError, match="cannot run on an array of shape"):
        reference.run(graph, np.zeros(shape, np.float32))
