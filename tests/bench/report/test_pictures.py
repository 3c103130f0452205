import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sparsr.bench.report.pictures import Pictures, densest_window, embedded
from sparsr.bench.report.units import count, giga, mebibytes, milliseconds, percent_floor, times
from sparsr.runtime.errors import SparsrError


def test_the_part_shown_is_where_the_network_changed_most(pictures):
    part = pictures.part(20, 20)
    assert part.after.shape == (20, 20, 3) and part.before.shape == (10, 10, 3)
    assert not part.whole
    changed = (pictures.after != pictures.bicubic).any(axis=2).sum()
    assert (part.after != part.bicubic).any(axis=2).sum() == changed
    assert pictures.part(80, 60) is pictures


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_densest_window_is_that_of_trying_all(height, width, data):
    rows, columns = data.draw(st.integers(height, 9)), data.draw(st.integers(width, 9))
    values = np.array(data.draw(st.lists(st.integers(0, 99), min_size=rows * columns, max_size=rows * columns)))
    values = values.reshape(rows, columns)
    top, left = densest_window(values, height, width)
    sums = {
        (y, x): values[y : y + height, x : x + width].sum()
        for y in range(rows - height + 1)
        for x in range(columns - width + 1)
    }
    assert sums[top, left] == max(sums.values())


def save(path, height, width):
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)
    return path


def test_pictures_must_belong_together(tmp_path):
    small, large, odd = (save(tmp_path / f"{n}.png", *size) for n, size in enumerate([(5, 7), (15, 21), (15, 22)]))
    assert Pictures.read(small, large, large).scale == 3
    for files in [(small, odd, None), (large, small, None), (small, large, odd)]:
        with pytest.raises(SparsrError):
            Pictures.read(*files)


def test_embedded_pictures_are_the_pictures(pictures):
    kind, data = embedded(pictures.after, lossless=True).split(";base64,")
    assert kind == "data:image/png"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) == pictures.after).all()


@pytest.mark.parametrize(
    "function, value, written",
    [
        (milliseconds, 0.0443, "44.3 ms"),
        (milliseconds, 0.00512, "5.12 ms"),
        (milliseconds, 1.2345, "1234 ms"),
        (milliseconds, 12.34, "12.3 s"),
        (mebibytes, 2**11, "2 KiB"),
        (mebibytes, 5 * 2**19, "2.5 MiB"),
        (mebibytes, 100 * 2**20, "100 MiB"),
        (times, 1.074, "1.07×"),
        (times, 3.74, "3.7×"),
        (times, 41.6, "42×"),
        (count, 708_123, "708\u00a0K"),
        (count, 1_517_571, "1.52\u00a0M"),
        (count, 42, "42"),
        (count, 2.271e9, "2.27\u00a0G"),
        (giga, 40.68, "40.7 G"),
        (giga, 1126.4, "1,126 G"),
        (percent_floor, 1.0, "100 %"),
        (percent_floor, 0.999999, "99.99 %"),
    ],
)
def test_figures_are_written_for_people(function, value, written):
    assert function(value) == written
