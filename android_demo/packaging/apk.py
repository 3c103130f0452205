"""A signed APK of the app without the Android SDK: `python android_demo/packaging/apk.py ASSETS [OUT]`.

Everything comes from Debian's packages: aapt, zipalign, apksigner and the framework's resources of bookworm, dx and the
framework's classes of bullseye. It is the flavour "plain": SparSR's own engine, without ONNX Runtime and LiteRT.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import native
from debian import UnavailableError, cache, tool, unpacked

APP = Path(__file__).resolve().parents[1]
ROOT = APP.parent
PACKAGE = "dev.sparsr.demo"
MIN_SDK, TARGET_SDK = 24, 35
VERSION_CODE, VERSION_NAME = 1, "1.0"
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")


def build(assets: Path, out: Path, library: Path) -> Path:
    """Build the APK with the bundles of the folder `assets` and libsparsr.so into the folder `out`; its path.

    Raises `UnavailableError` where a tool or package cannot be had.
    """
    tools = {name: tool(name, package) for name, package in _TOOLS.items()}
    if not FRAMEWORK.is_file():
        raise UnavailableError("needs the framework's resources (apt install android-framework-res)")
    folder = out / "apk"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base = _link_resources(tools["aapt2"], folder)
    dex = compile_dex(folder)
    unaligned = _pack(base, dex, library, assets, folder)
    aligned = folder / "aligned.apk"
    _run(tools["zipalign"], "-f", "-p", "4", str(unaligned), str(aligned))
    apk = out / "sparsr-demo.apk"
    keys = ["--ks", str(_debug_key(tools["keytool"])), "--ks-pass", "pass:android", "--min-sdk-version", str(MIN_SDK)]
    _run(tools["apksigner"], "sign", *keys, "--out", str(apk), str(aligned))
    return apk


_TOOLS = {
    "aapt2": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
    "javac": "openjdk-17-jdk-headless",
    "java": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jre-headless",
}


def manifest() -> str:
    """The app's manifest with what Gradle would add to it."""
    text = (APP / "app" / "src" / "main" / "AndroidManifest.xml").read_text()
    attributes = f'package="{PACKAGE}" android:versionCode="{VERSION_CODE}" android:versionName="{VERSION_NAME}"'
    sdk = f'<uses-sdk android:minSdkVersion="{MIN_SDK}" android:targetSdkVersion="{TARGET_SDK}" />'
    return re.sub(r"<manifest ([^>]*)>", rf"<manifest \1 {attributes}>\n    {sdk}", text, count=1)


def _link_resources(aapt2: str, folder: Path) -> Path:
    (folder / "AndroidManifest.xml").write_text(manifest())
    _run(aapt2, "compile", "--dir", str(APP / "app" / "src" / "main" / "res"), "-o", str(folder / "resources.zip"))
    base = folder / "base.apk"
    files = ["--manifest", str(folder / "AndroidManifest.xml"), "-o", str(base), str(folder / "resources.zip")]
    _run(aapt2, "link", "-I", str(FRAMEWORK), *files)
    return base


def compile_dex(folder: Path) -> Path:
    """classes.dex of the app's Java code."""
    java = unpacked("bullseye", "libandroid-23-java", "dalvik-exchange") / "usr" / "share" / "java"
    sources = [path for part in _SOURCES for path in sorted((APP / part).rglob("*.java"))]
    classes = folder / "classes"
    classes.mkdir()
    framework = ["-source", "8", "-target", "8", "-bootclasspath", str(java / "com.android.android-23.jar")]
    _run("javac", "-Xlint:all,-options", "-Werror", *framework, "-d", str(classes), *map(str, sources))
    dex = folder / "classes.dex"
    dx = ["-cp", str(java / "com.android.dx-10.0.0.jar"), "com.android.dx.command.Main", "--dex"]
    _run("java", *dx, f"--min-sdk-version={MIN_SDK}", f"--output={dex}", str(classes))
    return dex


_SOURCES = ("engine/src/main/java", "core/src/main/java", "app/src/main/java")


def _pack(base: Path, dex: Path, library: Path, assets: Path, folder: Path) -> Path:
    """Code, library and bundles into the resources' archive. The library is unpacked when the app is installed."""
    unaligned = folder / "unaligned.apk"
    shutil.copyfile(base, unaligned)
    with zipfile.ZipFile(unaligned, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.write(dex, "classes.dex")
        archive.write(library, f"lib/arm64-v8a/{native.LIBRARY}")
        for file in sorted(path for path in assets.rglob("*") if path.is_file()):
            archive.write(file, f"assets/bundles/{file.relative_to(assets)}")
    return unaligned


def _debug_key(keytool: str) -> Path:
    """A key of this machine's own: an app is only updated by one signed with the same key."""
    key = cache() / "debug.jks"
    if key.is_file():
        return key
    key.parent.mkdir(parents=True, exist_ok=True)
    options = ["-storepass", "android", "-keypass", "android", "-alias", "debug", "-keyalg", "RSA", "-keysize", "2048"]
    _run(keytool, "-genkeypair", "-keystore", str(key), *options, "-validity", "10000", "-dname", "CN=SparSR debug")
    return key


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")


def main() -> int:
    """Build; 0 if it is built, 2 if something cannot be had."""
    assets = Path(sys.argv[1])
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "build" / "android"
    try:
        print(build(assets, out, native.build(out)))
    except UnavailableError as error:
        print(f"the APK cannot be built here: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
