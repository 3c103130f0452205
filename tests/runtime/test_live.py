"""The live window: on a virtual screen, with a film; what it is told without one."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from picture_kinds import Doubling

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale import live

ROOT = Path(__file__).resolve().parents[2]


class Camera:
    """Numbered frames, one every `interval` seconds."""

    def __init__(self, count, interval):
        self.count, self.interval, self.number = count, interval, 0

    def read(self):
        time.sleep(self.interval)
        self.number += 1
        return self.number <= self.count, np.full((4, 4, 3), self.number, np.uint8)


def test_only_the_newest_frame_is_kept():
    newest = live.Newest(Camera(20, 0.005), 0.0)
    patience = time.monotonic() + 60
    while newest.read < 20 and time.monotonic() < patience:
        time.sleep(0.01)
    time.sleep(0.25)
    frame, came = newest.take(1)
    assert frame[0, 0, 0] == 20 and newest.read == 20 and time.monotonic() - came > 0.2
    assert newest.take(0.01) is None and newest.over
    newest.stop()
    assert threading.active_count() < 50


def test_a_film_is_read_at_its_pace():
    newest = live.Newest(Camera(1000, 0.0), 0.05)
    time.sleep(0.5)
    newest.stop()
    assert newest.read <= 20


def test_figures():
    figures = live.Figures()
    for number in range(11):
        figures.add(number / 10, number / 10 + (0.5 if number == 10 else 0.02))
    assert figures.latency_p90 == pytest.approx(0.02)
    assert figures.rate == pytest.approx(10 / 1.48, rel=0.01)
    assert str(live.LiveReport(12, 3, 24.06, 0.0412)) == "12 frames shown, 3 dropped, 24.1 frames/s, p90 latency 41 ms"


class Screen:
    """OpenCV with a window that only counts."""

    CAP_PROP_FPS, WND_PROP_VISIBLE, FONT_HERSHEY_SIMPLEX, LINE_AA = 5, 4, 0, 16

    class error(Exception):
        pass

    def __init__(self, camera):
        self.camera, self.shown = camera, []

    def VideoCapture(self, source):
        self.camera.isOpened, self.camera.get, self.camera.release = lambda: True, lambda _: 100.0, lambda: None
        return self.camera

    def imshow(self, name, picture):
        self.shown.append(picture)

    def waitKey(self, milliseconds):
        return ord("q") if len(self.shown) == 5 else -1

    def getWindowProperty(self, *_):
        return 1

    def putText(self, *_):
        pass

    def destroyAllWindows(self):
        self.closed = True


def test_slow_networks_drop_frames_and_a_key_ends_it(monkeypatch):
    class Slow(Doubling):
        def __call__(self, image):
            time.sleep(0.05)
            return super().__call__(image)

    screen = Screen(Camera(10_000, 0.005))
    monkeypatch.setattr(live, "_import_opencv", lambda: screen)
    report = live.show("0", Slow())
    assert report.shown == 5 == len(screen.shown) and report.dropped > 5
    assert screen.closed and screen.shown[0].shape == (8, 8, 3)
    numbers = [picture[0, 0, 0] for picture in screen.shown]
    assert numbers == sorted(numbers)
    screen = Screen(Camera(0, 0.0))
    monkeypatch.setattr(live, "_import_opencv", lambda: screen)
    with pytest.raises(SparsrError, match="no frames"):
        live.show("0", Doubling())


def test_a_film_on_a_virtual_screen(bundle, tmp_path):
    cv2 = pytest.importorskip("cv2")
    if not shutil.which("xvfb-run") or not shutil.which("Xvfb"):
        pytest.skip("Xvfb is not installed")
    if all(name not in cv2.getBuildInformation() for name in ("QT5:", "QT6:", "GTK+:", "QT:")):
        pytest.skip("this OpenCV has no windows (opencv-python-headless)")
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(25):
            pixels = np.full((48, 64, 3), 10 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    command = ["xvfb-run", "-a", sys.executable, "-m", "runtime", "live", tmp_path / "in.mp4", "--model", bundle.path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "frames shown" in done.stdout and "p90 latency" in done.stdout
    done = subprocess.run(
        [*command[2:5], "live", tmp_path / "missing.mp4"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "missing.mp4 does not exist" in done.stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing.mp4", "missing.mp4 does not exist"),
        (".", ". is a folder, not a film"),
        ("text.mp4", "OpenCV cannot open text.mp4"),
        ("99", "there is no camera 99"),
        ("rtsp://127.0.0.1:9/", "OpenCV cannot open rtsp"),
    ],
)
def test_sources_that_are_none(tmp_path, monkeypatch, source, words):
    """Each is called what it is."""

    class Blind(Screen):
        def VideoCapture(self, source):
            self.camera.isOpened = lambda: False
            return self.camera

    monkeypatch.setattr(live, "_import_opencv", lambda: Blind(Camera(0, 0.0)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(SparsrError, match=words):
        live.show(source, Doubling())


def test_why_there_is_no_window_is_told():
    cv2 = pytest.importorskip("cv2")

    class Windowless:
        error = cv2.error

        def imshow(self, name, picture):
            cv2.resize(picture, (0, 0))  # fails as OpenCV fails, with places in its source

    with pytest.raises(SparsrError, match=r"shows no window \(inv_scale_x > 0\)"):
        live._show(Windowless(), np.zeros((2, 2, 3), np.uint8))
