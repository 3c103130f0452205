"""TensorFlow's own interpreter as the judge of every operator the TFLite writer uses.

In a process of its own: tflite_runtime breaks where TensorFlow was imported before it.
"""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from sparsr.export.writers.tflite import write_tflite
from tests.export.graphs import random_image, small_network, torch_run
from tests.export.layer_graphs import layer_graphs

GRAPHS = {**layer_graphs(), "small": small_network()}
SIZES = [(1, 1), (3, 8), (9, 17)]
RUN = """
import sys, warnings
from pathlib import Path
import numpy as np
warnings.simplefilter("ignore")
from tensorflow.lite.python.interpreter import Interpreter
folder = Path(sys.argv[1])
for model in sorted(folder.glob("*.tflite")):
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    call = interpreter.get_signature_runner("serving_default")
    for image in sorted(folder.glob(f"{model.stem}.*.in.npy")):
        try:
            result = call(image=np.load(image).transpose(0, 2, 3, 1).copy())["upscaled"].transpose(0, 3, 1, 2)
            np.save(str(image).replace(".in.npy", ".out.npy"), result)
        except RuntimeError as error:
            print(image.name, error, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """A folder with every graph's images and what TensorFlow makes of them."""
    if not importlib.util.find_spec("tensorflow"):
        pytest.skip("needs tensorflow (pip install 'sparsr[tensorflow]')")
    folder = tmp_path_factory.mktemp("tensorflow")
    for name, graph in GRAPHS.items():
        (folder / f"{name}.tflite").write_bytes(write_tflite(graph))
        for number, (height, width) in enumerate(SIZES):
            image = random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))
            np.save(folder / f"{name}.{number}.in.npy", image)
    subprocess.run([sys.executable, "-c", RUN, str(folder)], check=True, timeout=300)
    return folder


REFUSED = {"conv_clip": "XNNPACK in TensorFlow 2.21 cannot resize a limit between two constants; LiteRT 2.3 can"}


@pytest.mark.parametrize("name", GRAPHS)
def test_tensorflow_computes_what_torch_does(name, outputs):
    if name in REFUSED:
        assert not list(outputs.glob(f"{name}.*.out.npy")), "it is no longer refused"
        pytest.skip(REFUSED[name])
    for number in range(len(SIZES)):
        image, found = (np.load(outputs / f"{name}.{number}.{end}.npy") for end in ("in", "out"))
        expected = torch_run(GRAPHS[name], image)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6 * max(1, np.abs(expected).max()))
