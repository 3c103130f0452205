"""Files with more in them than a picture, as cameras and phones write them, and what is none at all."""

import io

import numpy as np
import pytest
from judges import exiftool
from judges import run as run_tool
from picture_kinds import Doubling, jpeg, noise, smooth
from PIL import Image

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image
from sparsr.runtime.upscale.picture_files import upscale_picture

MANY = 10**8


def upscaled(source, target):
    return upscale_picture(source, target, Doubling(), MANY)


def test_the_other_view_of_a_stereo_photo_is_named(tmp_path):
    views = [Image.fromarray(smooth(120, 160)), Image.fromarray(smooth(120, 160)[:, ::-1].copy())]
    views[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=views[1:], quality=95)
    report = upscaled(tmp_path / "a.jpg", tmp_path / "b.jpg")
    kinds = "previews, masks, views, depth and gain maps"
    assert report.remarks == (f"left out: 1 further picture of the file, such as {kinds}",)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.format == "JPEG" and np.abs(np.asarray(image)[::2, ::2].astype(int) - smooth(120, 160)).mean() < 4


def test_an_hdr_gain_map_is_named(tmp_path):
    """Ultra HDR: a JPEG behind a JPEG, announced by XMP and an index of both."""
    xmp = (
        b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF hdrgm:Version="1.0"/></x:xmpmeta>'
    )
    views = [Image.fromarray(smooth()), Image.fromarray(smooth())]
    file = io.BytesIO()
    views[0].save(file, "MPO", save_all=True, append_images=views[1:], quality=95)
    content = file.getvalue()
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
    assert "gain maps" in upscaled(tmp_path / "a.jpg", tmp_path / "b.png").remarks[0]


def test_further_pictures_of_a_heic_are_named(tmp_path):
    heif = pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(smooth()))
    for side in (32, 16):
        heif.add_from_pillow(Image.fromarray(smooth(side, side)))
    heif.save(tmp_path / "a.heic", quality=95)
    report = upscaled(tmp_path / "a.heic", tmp_path / "b.png")
    assert (report.width, report.height) == (128, 96) and "2 further pictures" in report.remarks[0]


@pytest.mark.parametrize("canon", [False, True])
def test_the_preview_of_a_raw_file_is_not_taken_for_the_picture(tmp_path, canon):
    """DNG, NEF and ARW begin with a reduced picture beside sub-directories; CR2 says what it is."""
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "a.nef", byteorder="<") as writer:
        writer.write(smooth(24, 32), photometric="rgb", subfiletype=1, subifds=1)
        writer.write(noise(48, 64, 1, np.uint16)[..., 0], photometric="minisblack")
    if canon:
        content = bytearray((tmp_path / "a.nef").read_bytes())
        tifffile.imwrite(tmp_path / "a.nef", smooth(24, 32), photometric="rgb", byteorder="<")
        content = (tmp_path / "a.nef").read_bytes()
        start = int.from_bytes(content[4:8], "little")
        moved = len(content) + len(content) % 2  # the directory behind everything, to make room behind the header
        entries = content[start : start + 2 + 12 * int.from_bytes(content[start : start + 2], "little")] + bytes(4)
        header = content[:4] + moved.to_bytes(4, "little") + b"CR\2\0"
        (tmp_path / "a.nef").write_bytes(header + content[12:].ljust(moved - 12, b"\0") + entries)
    with pytest.raises(SparsrError, match="raw file") as caught:
        read_image(tmp_path / "a.nef")
    assert "raw converter" in caught.value.hint


def test_a_reduced_page_that_is_no_preview_is_read(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", smooth(), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").rgb, smooth())


OTHERS = {
    "a.tif": (b"II*\0\x08\0\0\0\1\0\x06\1\3\0\1\0\0\0\x4c\x80\0\0\0\0\0\0", "a TIFF whose samples"),
    "a.jxl": (b"\xff\x0a\xfa\x7f", "JPEG XL"),
    "a.exr": (b"\x76\x2f\x31\x01\2\0\0\0", "OpenEXR"),
    "a.hdr": (b"#?RADIANCE\n", "Radiance HDR"),
    "a.pdf": (b"%PDF-1.7", "PDF"),
    "a.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "a.cr3": (b"\0\0\0\x18ftypcrx ", "a camera's raw data"),
    "a.jpg": (b"\0\0\0\x18ftypisom", "a film"),
    "a.png": (b"PK\3\4", "a ZIP archive"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_picture_that_is_read_is_called_by_its_name(tmp_path, name):
    content, words = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SparsrError, match=f"not an image of a known format but {words}"):
        read_image(tmp_path / name)


def test_logluv_is_a_tiff_that_is_not_read(tmp_path):
    """Compression 34676 (SGILOG24) and samples that are luminance and chromaticity."""
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", smooth(), photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(34677)
        file.pages[0].tags["PhotometricInterpretation"].overwrite(32845)
    with pytest.raises(SparsrError, match="a TIFF whose samples"):
        read_image(tmp_path / "a.tif")


def test_a_jpeg_behind_another_name_is_read(tmp_path):
    (tmp_path / "a.png").write_bytes(jpeg(smooth()))
    assert read_image(tmp_path / "a.png").rgb.shape == (48, 64, 3)


def camera_picture(folder, *tags):
    """A JPEG as cameras write them, tags by exiftool."""
    (folder / "a.jpg").write_bytes(jpeg(smooth()))
    (folder / "small.jpg").write_bytes(jpeg(smooth(12, 16)))
    run_tool("exiftool", "-q", "-overwrite_original", *tags, folder / "a.jpg")
    return folder / "a.jpg"


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_what_a_camera_says_of_its_colours_and_places_is_kept_as_the_standard_has_it(tmp_path, suffix, order):
    """Adobe's RGB is told by a directory within a directory; comments lie in the byte order of the whole."""
    tags = ("-InteropIndex=R03", "-InteropVersion=0100", "-ColorSpace#=65535", "-UserComment=gr\u00fcn", "-Make=A")
    place = ("-GPSLatitude=10.5", "-GPSLatitudeRef=N", "-GPSProcessingMethod=GPS", "-GPSAltitudeRef#=1")
    upscaled(camera_picture(tmp_path, f"-ExifByteOrder={order}", *tags, *place), tmp_path / f"b.{suffix}")
    before, after = exiftool(tmp_path / "a.jpg"), exiftool(tmp_path / f"b.{suffix}")
    groups = ("ExifIFD:", "GPS:", "InteropIFD:")
    assert before["InteropIFD:InteropIndex"] == "R03"
    kept = {name: value for name, value in before.items() if name.startswith(groups)}
    assert {name: after.get(name) for name in kept} == kept
    said = run_tool("exiftool", "-validate", "-warning", "-a", tmp_path / f"b.{suffix}").decode()
    assert "Bad" not in said and "ExifIFD 0x" not in said.replace("is not allowed in TIFF", "")


def test_previews_inside_metadata_are_left_out(tmp_path):
    """Of Exif, of Photoshop's blocks and of XMP: they show the old picture."""
    previews = [f"-{name}<={tmp_path / 'small.jpg'}" for name in ("ThumbnailImage", "PhotoshopThumbnail")]
    tags = ("-XMP-xmp:ThumbnailFormat=JPEG", "-XMP-xmp:ThumbnailImage=/9j/4AAQ", "-XMP:Rating=4", "-IPTC:Keywords=a")
    upscaled(camera_picture(tmp_path, *previews, *tags), tmp_path / "b.jpg")
    before, after = exiftool(tmp_path / "a.jpg"), exiftool(tmp_path / "b.jpg")
    assert len([name for name in before if "ThumbnailImage" in name or "PhotoshopThumbnail" in name]) == 3
    assert not [name for name in after if "Thumbnail" in name]
    assert (after["XMP-xmp:Rating"], after["IPTC:Keywords"]) == (4, "a")
