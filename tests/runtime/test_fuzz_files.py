"""Damaged pictures, films, bundles, checkpoints and ONNX files: an error sentence or a result, nothing else.

SPARSR_FUZZ: how many of each of the five kinds (`make sanitize` takes 2,000, 10,000 in all).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from picture_kinds import png, smooth
from PIL import Image
from small_bundles import write_small_bundle

ROOT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("SPARSR_FUZZ", "24"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and limits the memory of processes")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a bundle of the native engine."""
    folder = tmp_path_factory.mktemp("fuzz")
    write_small_bundle(folder / "whole", channels=4, blocks=1)
    native = folder / "bundle"
    native.mkdir()
    card = json.loads((folder / "whole/card.json").read_text())
    card["files"] = [file for file in card["files"] if file["format"] == "native"]
    (native / "card.json").write_text(json.dumps(card))
    for file in card["files"]:
        shutil.copy(folder / "whole" / file["name"], native)
    Image.fromarray(smooth(12, 16)).save(folder / "picture.png")
    return folder


def pictures(folder):
    image = Image.fromarray(smooth(12, 16))
    for suffix in ("png", "jpg", "tif", "webp", "gif", "avif", "jp2", "bmp", "tga", "ppm", "ico", "dds", "qoi", "sgi"):
        try:
            image.save(folder / f"a.{suffix}")
        except (KeyError, ValueError, OSError):  # a Pillow that does not write it
            (folder / f"a.{suffix}").unlink(missing_ok=True)
    (folder / "deep.png").write_bytes(png(smooth(12, 16).astype(np.uint16) * 257))
    image.save(folder / "exif.jpg", exif=_exif(), dpi=(72, 72), progressive=True)
    image.convert("CMYK").save(folder / "cmyk.tif")
    frames = [Image.fromarray(np.roll(smooth(12, 16), n, 1)) for n in range(3)]
    for name in ("moving.png", "moving.gif", "moving.webp", "pages.tif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])


def _exif():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769)[0xA002] = 16
    return exif.tobytes()


def films(folder):
    av = pytest.importorskip("av")
    kinds = {
        "mp4": ("libx264", None), "mkv": ("mjpeg", None), "avi": ("mpeg4", "adpcm_ms"), "webm": ("libvpx-vp9", None),
        "wmv": ("wmv2", "wmav2"), "ts": ("libx264", "aac"), "mov": ("mjpeg", "pcm_mulaw"), "h264": ("libx264", None),
    }  # fmt: skip
    for suffix, (codec, sound) in kinds.items():
        with av.open(str(folder / f"a.{suffix}"), "w") as container:
            audio = container.add_stream(sound, rate=44100, layout="mono", bit_rate=64000) if sound else None
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = 32, 24
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(4):
                frame = av.VideoFrame.from_ndarray(np.roll(smooth(24, 32), number, 1), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if audio:
                tone = (8000 * np.sin(np.arange(4000) / 5)).astype(np.int16)[None]
                frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
                frame.sample_rate = 44100
                container.mux(audio.encode(frame))
                container.mux(audio.encode(None))


def bundles(folder):
    for file in (folder.parent / "bundle").iterdir():
        shutil.copy(file, folder)


def checkpoints(folder):
    import torch
    from safetensors.torch import save_file

    from sparsr.train.networks import build

    state = build("edsr", 2, blocks=1, channels=4).state_dict()
    torch.save(state, folder / "a.pth")
    torch.save({"params": state}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "a.safetensors")


def onnx_files(folder):
    shutil.copy(folder.parent / "whole/model.onnx", folder / "a.onnx")


@pytest.mark.parametrize(
    ("kind", "make"),
    [("picture", pictures), ("film", films), ("bundle", bundles), ("checkpoint", checkpoints), ("onnx", onnx_files)],
)
def test_damaged_files_give_a_sentence_or_a_result(place, kind, make):
    folder = place / f"{kind}s"
    folder.mkdir()
    make(folder)
    command = [sys.executable, Path(__file__).with_name("fuzzing.py"), kind, folder, str(COUNT), "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / ".venv/checkout")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines and lines[-1] == {"ran": COUNT}, done.stderr[-2000:]
    assert lines[:-1] == []
