"""The APK and the library for other apps, looked into; and Android's own libsparsr.so run in an arm64 JVM."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile

import android
import arm64
import java
import numpy as np
import pytest

from sparsr.export.writers.native import write_native
from tests.export import graphs

WIDTH, HEIGHT = 21, 13
NATIVE_CLASSES = ("SparsrModel", "Cores")


def output(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=120).stdout


def tool(name, package):
    return shutil.which(name) or pytest.skip(f"needs {name} (apt install {package})")


@pytest.fixture(scope="module")
def apk(tmp_path_factory):
    """With one small bundle in it."""
    assets = tmp_path_factory.mktemp("assets")
    (assets / "small").mkdir()
    (assets / "small" / "card.json").write_text("{}")
    return android.apk(assets, tmp_path_factory.mktemp("apk"))


def test_the_library_needs_nothing_but_android():
    library = android.library()
    readelf = tool("llvm-readelf-19", "llvm-19")
    dynamic = output(readelf, "-d", library)
    assert set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)) == {"libc.so", "libm.so", "libdl.so"}
    assert "[libsparsr.so]" in dynamic
    segments = output(readelf, "-lW", library)
    loads = [line.split() for line in segments.splitlines() if line.strip().startswith("LOAD")]
    assert loads and all(int(line[-1], 16) == 16384 for line in loads)
    assert not any(line.strip().startswith("TLS") for line in segments.splitlines())  # unknown to Android 9 and older
    symbols = output(tool("llvm-nm-19", "llvm-19"), "-D", library)
    wanted = {line.split()[-1] for line in symbols.splitlines() if " U " in line}
    assert wanted <= set().union(*android.native.allowed_symbols().values())
    assert not any("GLIBC" in name for name in wanted)
    shown = {line.split()[-1] for line in symbols.splitlines() if " U " not in line}
    assert {"RegisterCustomOps", "sparsr_run", "sparsr_tflite_registration", "JNI_OnLoad"} <= shown
    assert not any(name.startswith("_Z") for name in shown)
    methods = set()
    for name in NATIVE_CLASSES:
        source = (java.APP / "engine/src/main/java/dev/sparsr" / f"{name}.java").read_text()
        methods |= {f"Java_dev_sparsr_{name}_{method}" for method in re.findall(r"static native \S+ (\w+)\(", source)}
    assert methods == {name for name in shown if name.startswith("Java_")}


def test_the_apk_says_what_it_is(apk):
    badging = output(tool("aapt2", "aapt"), "dump", "badging", apk)
    assert "package: name='dev.sparsr.demo'" in badging
    assert "sdkVersion:'24'" in badging
    assert "targetSdkVersion:'35'" in badging
    assert "native-code: 'arm64-v8a'" in badging
    assert "launchable-activity: name='dev.sparsr.demo.app.UpscaleActivity'" in badging
    assert "uses-permission" not in badging
    tree = output("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", apk)
    bench = tree[tree.index("BenchActivity") :]
    assert "android.permission.DUMP" in bench[: bench.index("E: provider")]  # only a shell may start it


def test_the_apk_is_signed_and_aligned(apk):
    verified = output(tool("apksigner", "apksigner"), "verify", "--verbose", "--min-sdk-version", "24", apk)
    assert "v2 scheme (APK Signature Scheme v2): true" in verified
    assert "v3 scheme (APK Signature Scheme v3): true" in verified
    assert "Verification successful" in output(tool("zipalign", "zipalign"), "-c", "-v", "4", apk)
    with zipfile.ZipFile(apk) as archive:
        assert archive.getinfo("resources.arsc").compress_type == zipfile.ZIP_STORED  # from targetSdk 30 on
        assert archive.read("lib/arm64-v8a/libsparsr.so") == android.library().read_bytes()
        assert "assets/bundles/small/card.json" in archive.namelist()


def test_the_apk_has_every_class_of_the_manifest(apk):
    dump = output(tool("dexdump", "dexdump"), apk)
    classes = {name.replace("/", ".") for name in re.findall(r"Class descriptor  : 'L(.*);'", dump)}
    manifest = (java.APP / "app/src/main/AndroidManifest.xml").read_text()
    named = set(re.findall(r'android:name="(dev\.sparsr\.[\w.]+)"', manifest))
    assert len(named) == 7
    assert named <= classes
    # Keep rules name what the native code looks up.
    rules = (java.APP / "engine/consumer-rules.pro").read_text()
    for name in re.findall(r"(?:class|interface) (dev\.sparsr\.[\w.$]+)", rules):
        assert name in classes


def test_the_archive_for_other_apps(tmp_path):
    with zipfile.ZipFile(android.archive(tmp_path)) as archive:
        names = set(archive.namelist())
        assert {"AndroidManifest.xml", "classes.jar", "R.txt", "proguard.txt", "jni/arm64-v8a/libsparsr.so"} <= names
        assert archive.read("jni/arm64-v8a/libsparsr.so") == android.library().read_bytes()
        with archive.open("classes.jar") as file, zipfile.ZipFile(file) as classes:
            assert "dev/sparsr/SparsrModel.class" in classes.namelist()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "model").write_bytes(write_native(graphs.small_network(value_range=255.0), {}))
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    (folder / "image").write_bytes(pixels.tobytes())
    (folder / "in.ppm").write_bytes(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + pixels.tobytes())
    (folder / "empty").mkdir()
    return folder


def emulated(*arguments, cpu="cortex-a76"):
    return java.run("dev.sparsr.demo.Host", *arguments, library=android.library(), java=android.emulated_java(cpu))


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a76", "max"])
def test_rows_on_arm64_are_those_of_the_runner(prepared, tmp_path, cpu):
    """Android's library, built by Clang, through Java; the runner, built by GCC: the same bytes, on every processor."""
    arguments = (prepared / "model", prepared / "image", WIDTH, HEIGHT, tmp_path / "out", 2)
    result = emulated("rows", *arguments, cpu=cpu)
    assert result.returncode == 0, result.stderr
    files = (prepared / name for name in ("model", "in.ppm", "out.ppm"))
    subprocess.run([*arm64.EMULATOR, arm64.runner(), *files], check=True, capture_output=True, timeout=60)
    assert (tmp_path / "out").read_bytes() == (prepared / "out.ppm").read_bytes().split(b"255\n", 1)[1]


def test_cancel_exceptions_and_wrong_arguments_on_arm64(prepared):
    result = emulated("selftest", prepared / "model", prepared / "image", WIDTH, HEIGHT, prepared / "empty")
    assert result.stdout == "fine\n", result.stderr
