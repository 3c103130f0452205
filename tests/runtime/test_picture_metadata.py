"""What files say about their pictures: kept, corrected, and never a reason to fail. Judges: exiftool, libpng."""

import struct
import zlib

import numpy as np
import pytest
from judges import exiftool, pngcheck, run
from picture_kinds import Doubling, chunk, jpeg, png, smooth
from PIL import Image, ImageCms

from sparsr.runtime.media.images import read_image
from sparsr.runtime.upscale.picture_files import upscale_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
XMP += b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
XMP += b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" tiff:Orientation="6" exif:PixelXDimension="64" xmp:Rating="4"/>'
XMP += b"</rdf:RDF></x:xmpmeta>"


def photo_exif():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x0132] = "Maker", "Model 5", 6, "2024:05:06 07:08:09"
    camera = exif.get_ifd(0x8769)
    camera[0x9003], camera[0x829A], camera[0x8827] = "2024:05:06 07:08:09", 0.004, 200
    camera[0xA002], camera[0xA003] = 64, 48
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (52.0, 30.0, 15.0)
    return exif


@pytest.fixture
def photo(tmp_path):
    options = {"exif": photo_exif().tobytes(), "xmp": XMP, "dpi": (300, 300), "icc_profile": SRGB, "comment": b"hello"}
    (tmp_path / "photo.jpg").write_bytes(jpeg(smooth(), **options))
    return tmp_path / "photo.jpg"


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
def test_a_photo_keeps_what_it_says(photo, tmp_path, suffix):
    target = tmp_path / f"out.{suffix}"
    report = upscale_picture(photo, target, Doubling(), 10**8)
    assert (report.width, report.height) == (96, 128)  # upright
    tags = exiftool(target)
    assert tags["IFD0:Make"] == "Maker" and tags["IFD0:Model"] == "Model 5"
    assert tags["ExifIFD:DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert tags["ExifIFD:ExposureTime"] == pytest.approx(0.004) and tags["ExifIFD:ISO"] == 200
    assert tags["GPS:GPSLatitude"] == pytest.approx(52 + 30 / 60 + 15 / 3600)
    assert tags.get("IFD0:Orientation", 1) == 1
    assert (tags["ExifIFD:ExifImageWidth"], tags["ExifIFD:ExifImageHeight"]) == (96, 128)
    assert tags["XMP-xmp:Rating"] == 4 and tags.get("XMP-tiff:Orientation", 1) == 1
    assert tags["XMP-exif:ExifImageWidth"] == 96
    assert "ICC_Profile:ProfileDescription" in tags or "ICC-header:ProfileClass" in tags
    if suffix in ("jpg", "tif", "png"):
        found = tags.get("IFD0:XResolution") or tags.get("JFIF:XResolution") or tags["PNG-pHYs:PixelsPerUnitX"] * 0.0254
        assert found == pytest.approx(300, abs=0.1)
    if suffix in ("jpg", "png"):
        assert "hello" in (tags.get("File:Comment"), tags.get("PNG:Comment"))
    else:
        assert any("comment" in remark for remark in report.remarks)


def with_iptc(path):
    """A JPEG with a caption."""
    record = b"\x1c\x02\x78" + struct.pack(">H", 5) + b"hello"
    segment = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record
    plain = jpeg(smooth())
    marker = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    path.write_bytes(plain[:2] + marker + plain[2:])
    return path


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_iptc_is_kept_in_jpeg_and_tiff(tmp_path, suffix):
    upscale_picture(with_iptc(tmp_path / "a.jpg"), tmp_path / f"b.{suffix}", Doubling(), 10**8)
    assert exiftool(tmp_path / f"b.{suffix}")["IPTC:Caption-Abstract"] == "hello"
    upscale_picture(tmp_path / f"b.{suffix}", tmp_path / "c.jpg", Doubling(), 10**8)
    assert exiftool(tmp_path / "c.jpg")["IPTC:Caption-Abstract"] == "hello"
    report = upscale_picture(tmp_path / f"b.{suffix}", tmp_path / "c.png", Doubling(), 10**8)
    assert any("IPTC" in remark for remark in report.remarks)


def test_iptc_alone_in_a_tiff(tmp_path):
    """The field for it, without Photoshop's blocks around."""
    Image.fromarray(smooth()).save(tmp_path / "a.tif")
    run("exiftool", "-overwrite_original", "-IPTC:Caption-Abstract=hello", tmp_path / "a.tif")
    upscale_picture(tmp_path / "a.tif", tmp_path / "b.tif", Doubling(), 10**8)
    assert exiftool(tmp_path / "b.tif")["IPTC:Caption-Abstract"] == "hello"


def test_what_imagemagick_writes_into_texts_of_a_png(tmp_path):
    with_iptc(tmp_path / "a.jpg")
    run("exiftool", "-overwrite_original", "-XMP:Rating=4", "-EXIF:Make=Maker", tmp_path / "a.jpg")
    run("convert", tmp_path / "a.jpg", tmp_path / "a.png")
    upscale_picture(tmp_path / "a.png", tmp_path / "b.jpg", Doubling(), 10**8)
    tags = exiftool(tmp_path / "b.jpg")
    assert (tags["XMP-xmp:Rating"], tags["IFD0:Make"], tags["IPTC:Caption-Abstract"]) == (4, "Maker", "hello")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
def test_texts_of_exif_keep_their_letters(tmp_path, suffix):
    """They are UTF-8 today, whatever the standard of their time said."""
    (tmp_path / "a.jpg").write_bytes(jpeg(smooth()))
    words = ("-EXIF:Artist=Zoë Łuk 李", "-EXIF:LensModel=Objektiv für Nähe", "-EXIF:ExifImageWidth=64")
    run("exiftool", "-overwrite_original", *words, tmp_path / "a.jpg")
    upscale_picture(tmp_path / "a.jpg", tmp_path / f"b.{suffix}", Doubling(), 10**8)
    tags = exiftool(tmp_path / f"b.{suffix}")
    assert (tags["IFD0:Artist"], tags["ExifIFD:LensModel"]) == ("Zoë Łuk 李", "Objektiv für Nähe")
    assert tags["ExifIFD:ExifImageWidth"] == 128


def test_what_a_png_says_of_its_colours_and_text_stays(tmp_path):
    chunks = [
        chunk(b"cICP", bytes([9, 16, 0, 1])),
        chunk(b"gAMA", struct.pack(">I", 45455)),
        chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
        chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
        chunk(b"tEXt", b"parameters\0steps: 20"),
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"nodes":0}' * 200_000)),
    ]
    (tmp_path / "a.png").write_bytes(png(smooth(), *chunks))
    report = upscale_picture(tmp_path / "a.png", tmp_path / "b.png", Doubling(), 10**8)
    assert report.remarks == ()
    before, after = exiftool(tmp_path / "a.png"), exiftool(tmp_path / "b.png")
    for name in ("PNG:Gamma", "PNG:RedX", "PNG:GreenY", "PNG-pHYs:PixelsPerUnitX", "PNG:Parameters", "PNG:Workflow"):
        assert after[name] == before[name]
    assert chunks[0] in (tmp_path / "b.png").read_bytes()


BROKEN = {
    "zTXt of 2 MB": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"nodes":0}' * 200_000)),
    "iTXt of 2 MB": chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"x" * 2_000_000)),
    "profile of 1.5 MB": chunk(b"iCCP", b"ICC\0\0" + zlib.compress(bytes(1_500_000))),
    "profile of 1 GB": chunk(b"iCCP", b"ICC\0\0" + zlib.compress(bytes(1 << 30), 1)),
    "eXIf that is none": chunk(b"eXIf", b"hello"),
    "Exif in a text that is none": chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 5\n68656c6c6f")
    ),
    "wrong check sum": chunk(b"tEXt", b"Comment\0hello")[:-1] + b"!",
    "profile that is none": chunk(b"iCCP", b"x\0\0garbage"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_chunks_are_passed_over(tmp_path, what):
    (tmp_path / "a.png").write_bytes(png(smooth(), BROKEN[what]))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").rgb, smooth())
    upscale_picture(tmp_path / "a.png", tmp_path / "b.png", Doubling(), 10**8)
    pngcheck(tmp_path / "b.png")


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0hello", b"Exif\0\0II*\0\xff\xff\xff\xff", b"", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_of_a_jpeg_is_passed_over(tmp_path, exif):
    plain = jpeg(smooth())
    marker = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "a.jpg").write_bytes(plain[:2] + marker + plain[2:])
    (tmp_path / "plain.jpg").write_bytes(plain)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg").rgb, read_image(tmp_path / "plain.jpg").rgb)
    upscale_picture(tmp_path / "a.jpg", tmp_path / "b.tif", Doubling(), 10**8)
