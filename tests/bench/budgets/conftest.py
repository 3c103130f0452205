from pathlib import Path

import pytest

from tests.bench.bench_bundles import write_tiny_bundle

HEAD = 'schema = "sparsr-budgets/1"\n'


@pytest.fixture
def bundles(tmp_path):
    """A folder with the bundles `slim` and `dense`; ONNX and TFLite files only."""
    write_tiny_bundle(tmp_path / "slim", "assl", channels=4)
    write_tiny_bundle(tmp_path / "dense", channels=32)
    return tmp_path


@pytest.fixture
def budgets(tmp_path):
    """Writes a budget file, of the given lines in one entry, and returns its path."""

    def write(*lines: str, defaults: str = "", bundle: str = "slim") -> Path:
        path = tmp_path / "budgets.toml"
        entry = [defaults, "[[budget]]", f'bundle = "{bundle}"', 'engine = "ort"', 'size = "20x13"', *lines, ""]
        path.write_text(HEAD + "\n".join(entry))
        return path

    return write
