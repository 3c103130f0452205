import base64
import io

import numpy as np
import pytest
from PIL import Image

from sparsr.bench.report.blocks import Gallery, Report, Section
from sparsr.bench.report.gallery import Exhibit
from sparsr.bench.report.page import render
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import write_image


def test_a_picture_and_a_drawing_are_shown_as_they_are(tmp_path):
    pixels = np.linspace((0, 40, 90), (250, 90, 10), 64).astype(np.uint8)[:, None].repeat(50, 1)
    write_image(tmp_path / "masks.png", pixels)
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    (tmp_path / "plot.svg").write_bytes(drawing)
    picture = Exhibit.read(f"Where a = b & c={tmp_path / 'masks.png'}")
    plot = Exhibit.read(f"Curve={tmp_path / 'plot.svg'}")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.source.split(",")[1]))))
    assert np.abs(shown.astype(int) - pixels).max() < 12  # WebP
    assert base64.b64decode(plot.source.split(",")[1]) == drawing
    section = render(Report("", "", [Section("More", [Gallery([picture, plot])])]))
    assert section.count("<img") == 2
    assert "Where a = b &amp; c" in section
    assert "<script>alert" not in section  # inside an <img> it is never run


@pytest.mark.parametrize("wish", ["masks.png", "=masks.png", "a=absent.png", "a=absent.svg", "a=fake.svg"])
def test_what_cannot_be_shown_is_refused(wish, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fake.svg").write_text("no drawing")
    with pytest.raises(SparsrError):
        Exhibit.read(wish)
