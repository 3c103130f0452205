"""Small bundles, written once for all tests of the runtime."""

import pytest
from small_bundles import write_small_bundle

from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import run_cli


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """LEDSR x2: sees 7 pixels around every pixel."""
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "ledsr2", channels=8, blocks=2)


@pytest.fixture(scope="session")
def bundle_x3(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "ledsr3", scale=3, channels=8, blocks=2)


@pytest.fixture(scope="session")
def whole_picture_bundle(tmp_path_factory):
    """IMDN: its attention sees the whole picture."""
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "imdn2", "imdn")


@pytest.fixture
def bundle_copy(bundle, tmp_path):
    """A folder with a copy of a bundle, to be damaged."""
    import shutil

    return shutil.copytree(bundle.path, tmp_path / "copy")


@pytest.fixture
def runtime(capsys):
    """Runs a command: (exit code, stdout, stderr)."""

    def run(*arguments):
        try:
            code = run_cli(lambda: main([str(argument) for argument in arguments]))
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def upscale(runtime, bundle):
    return lambda source, target, *options: runtime("upscale", source, target, "--model", bundle.path, *options)
