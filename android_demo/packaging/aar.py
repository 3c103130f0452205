"""The engine for other apps: `python android_demo/packaging/aar.py [OUT]`.

Writes a folder with what an Android library archive holds, and sparsr.aar of it: libsparsr.so for arm64, its Java
classes, the rules that keep a shrinker from renaming them, and the licence.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import native
from debian import UnavailableError, tool

ENGINE = native.HERE.parent / "engine"


def build(out: Path, library: Path) -> Path:
    """Build the archive with libsparsr.so into the folder `out`; its path.

    Raises `UnavailableError` where a tool is missing.
    """
    javac = tool("javac", "openjdk-17-jdk-headless")
    folder = out / "aar"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "jni" / "arm64-v8a").mkdir(parents=True)
    shutil.copyfile(library, folder / "jni" / "arm64-v8a" / native.LIBRARY)
    classes = out / "aar-classes"
    shutil.rmtree(classes, ignore_errors=True)
    sources = sorted(str(path) for path in (ENGINE / "src" / "main" / "java").rglob("*.java"))
    command = [javac, "-Xlint:all,-options", "-source", "8", "-target", "8", "-d", str(classes), *sources]
    subprocess.run(command, check=True, capture_output=True)
    _zip(classes, folder / "classes.jar")
    (folder / "AndroidManifest.xml").write_text(
        f'<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="dev.sparsr">\n'
        f'    <uses-sdk android:minSdkVersion="{native.API_LEVEL}" />\n</manifest>\n'
    )
    shutil.copyfile(ENGINE / "consumer-rules.pro", folder / "proguard.txt")
    (folder / "R.txt").touch()
    licence = native.ROOT / "LICENSE"
    if licence.is_file():
        shutil.copyfile(licence, folder / "LICENSE")
    archive = out / "sparsr.aar"
    _zip(folder, archive)
    return archive


def _zip(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder))


def main() -> int:
    """Build; 0 if it is built, 2 if something is missing."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else native.ROOT / "build" / "android"
    try:
        print(build(out, native.build(out)))
    except UnavailableError as error:
        print(f"the archive cannot be built here: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
