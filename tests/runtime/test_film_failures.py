"""A film that cannot be upscaled: whether it is the film that is damaged or the result that cannot be written."""

import errno
import subprocess
import sys
from pathlib import Path

import av
import pytest
from films import film, lavfi, upscaled

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.film.failures import of_output, of_source

ROOT = Path(__file__).resolve().parents[2]
LIMITED = """
import resource, sys
from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import run_cli
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(run_cli(lambda: main(sys.argv[1:])))
"""


def test_an_encoder_that_refuses_the_size(tmp_path):
    """H.264 ends at 16,384 pixels a side; the film is sound, and another kind of film takes it."""
    source = lavfi(tmp_path / "wide.mp4", "testsrc2=s=9000x16:r=10:d=0.2", options=("-c:v", "libx264"))
    with pytest.raises(SparsrError) as caught:
        upscaled(source, tmp_path / "out.mp4")
    said = f"{tmp_path}/out.mp4 cannot be written: the encoder libx264 refuses frames of 18000x32 pixels"
    assert str(caught.value).startswith(said) and "out.webm" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["wide.mp4"]
    assert upscaled(source, tmp_path / "out.webm").frames == 2


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "png", "webp", "tif"])
def test_a_disk_that_is_full(bundle, tmp_path, suffix):
    """Stands for it: no file may be larger than 20 kB. The sentence names the result."""
    if suffix in ("mp4", "mkv", "webm"):
        source = lavfi(tmp_path / "in.mp4", "testsrc2=s=160x120:r=10:d=2,noise=alls=40", options=("-c:v", "libx264"))
    else:
        source = lavfi(tmp_path / "in.png", "testsrc2=s=160x120:r=1:d=1,noise=alls=90", options=("-frames:v", "1"))
    target = tmp_path / f"out.{suffix}"
    command = [sys.executable, "-c", LIMITED, "upscale", source, target, "--model", bundle.path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"error: File too large: {target}\n" in done.stderr and "damaged" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_film_that_is_damaged_is_called_so(tmp_path):
    content = film(tmp_path / "in.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(content[: len(content) // 3])
    with pytest.raises(SparsrError, match=r"in\.mp4 is damaged or not a video"):
        upscaled(tmp_path / "in.mp4", tmp_path / "out.mp4")


def test_the_side_that_fails_is_named():
    """What PyAV raises is the same on both sides; where it is raised decides."""
    source, target = Path("in.mkv"), Path("out.mp4")
    with pytest.raises(SparsrError, match=r"in\.mkv is damaged"), of_source(av, source):
        raise av.error.InvalidDataError(av.error.tag_to_code(b"INDA"), "Invalid data")
    refused = of_output(av, target, "mp4 refuses it", "name another")
    with pytest.raises(SparsrError, match=r"out\.mp4 cannot be written: mp4 refuses it") as caught, refused:
        raise av.error.ValueError(errno.EINVAL, "Invalid argument")
    assert caught.value.hint == "name another"
    for side, path in ((of_source(av, source), source), (of_output(av, target, "", ""), target)):
        with pytest.raises(OSError) as full, side:
            raise av.error.OSError(errno.ENOSPC, "No space left on device")
        assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(path))
