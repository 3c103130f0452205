"""The app's Java code, compiled and run on this machine: in a JVM of its own architecture, or of arm64 emulated."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from sparsr.runtime.engines.native import build as builder

APP = Path(__file__).parents[2] / "android_demo"
JARS = tuple(Path("/usr/share/java") / name for name in ("json-android.jar", "junit4.jar", "hamcrest-core.jar"))


_SCRATCH = tempfile.TemporaryDirectory(prefix="sparsr-java-")


def scratch():
    """A folder for what is built, removed at the end."""
    return Path(_SCRATCH.name)


def sources():
    """What does not need Android: the engine's classes, the app's logic, and what only runs on a desktop."""
    return sorted([*(APP / "engine").rglob("*.java"), *(APP / "core").rglob("*.java")])


@functools.cache
def classes():
    """The folder of class files. Skips the test where there is no compiler or library."""
    if not shutil.which("javac"):
        pytest.skip("needs javac (apt install openjdk-17-jdk-headless)")
    missing = [jar.name for jar in JARS if not jar.is_file()]
    if missing:
        pytest.skip(f"needs {missing[0]} (apt install junit4 libandroid-json-org-java)")
    folder = scratch() / "classes"
    folder.mkdir()
    # As on Android: Java 8; and no warnings but that this is old.
    options = ["-Xlint:all,-options", "-Werror", "-source", "8", "-target", "8"]
    command = ["javac", *options, "-cp", ":".join(map(str, JARS)), "-d", str(folder), *map(str, sources())]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def class_path():
    return ":".join(map(str, (classes(), *JARS)))


@functools.cache
def jni_includes():
    """Options that name the folders of jni.h."""
    java = shutil.which("javac")
    if not java:
        pytest.skip("needs javac (apt install openjdk-17-jdk-headless)")
    include = Path(java).resolve().parents[1] / "include"
    if not (include / "jni.h").is_file():
        pytest.skip("needs jni.h (apt install openjdk-17-jdk-headless)")
    return (f"-I{include}", f"-I{include / 'linux'}")


def link_jni(compiler, library, name):
    """The native methods for a libsparsr that there is already."""
    path = scratch() / name
    source = APP / "engine" / "src" / "main" / "cpp" / "sparsr_jni.cpp"
    options = ["-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
    command = [compiler, *options, *jni_includes(), f"-I{builder.SOURCES}", str(source), str(library)]
    subprocess.run([*command, f"-Wl,-rpath,{library.parent}", "-o", str(path)], check=True, timeout=120)
    return path


@functools.cache
def host_library():
    return link_jni("g++", builder.library_path(), "libsparsr_jni.so")


def run(*arguments, library=None, java=("java",), checked=True, timeout=300):
    """Runs a class's main; the finished process. checked: whether the JVM watches all native methods, which is slow."""
    options = ["-Djava.awt.headless=true", "-XX:TieredStopAtLevel=1"]
    if library:
        options += [f"-Ddev.sparsr.library={library}", *(["-Xcheck:jni"] if checked else [])]
    command = [*java, *options, "-cp", class_path(), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
