"""Copies of the engines' packages in which every CPUID instruction is replaced, and the environment to run them in.

Hiding features needs the CPUID instruction to fault, which few processors can be told to do. So the instruction itself
is exchanged for one of the same length that always faults (UD0), and a preloaded library answers in its place. It is
found by disassembly: its two bytes alone also occur inside other instructions and in data.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_folder

_CPUID, _UD0 = b"\x0f\xa2", b"\x0f\xff"
_SOURCE = Path(__file__).with_name("cpuid.c")
_LIBRARY = "cpuid.so"
_MARKER = "masked"
_MODULES = {
    "ort": ("onnxruntime",),
    "litert": ("ai_edge_litert",),
    "tflite_runtime": ("tflite_runtime",),
    "opencv": ("cv2",),
    "tensorflow": ("tensorflow",),
    "openvino": ("openvino",),
    "openvino-bf16": ("openvino",),
    "openvino-int8": ("openvino",),
    "ncnn": ("ncnn", "pnnx"),
    "mnn": ("MNN", "_mnncengine", "_tools"),
}
"""The modules an engine's code lies in. The native engine is not here: it is told its instruction set."""


def environment(engine: str) -> dict[str, str]:
    """Environment variables for a process in which `engine` sees no AVX-512. Packages are copied once, to the cache.

    Raises `SparsrError` if the engine is not installed, or gcc or objdump is missing.
    """
    ours = {"SPARSR_ISA": "avx2"}  # the native engine, alone or inside another
    if engine not in _MODULES:
        return ours
    places = [_origin(module) for module in _MODULES[engine]]
    folder = _cache() / _digest(places)
    if not (folder / _MARKER).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder, _MARKER) as temporary:
            _build(places, temporary)
    return ours | {"PYTHONPATH": str(folder), "LD_PRELOAD": str(folder / _LIBRARY)}


def _origin(module: str) -> Path:
    """A package's folder, or a module's file."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise SparsrError(f"the package {module} is not installed", "pip install 'sparsr[rivals]'")
    origin = Path(found.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparsr" / "masked"


def _digest(places: Sequence[Path]) -> str:
    state = hashlib.sha256(_SOURCE.read_bytes() + Path(__file__).read_bytes())
    for place in places:
        for path in sorted(_libraries(place)):
            entry = path.stat()
            state.update(f"{path}\0{entry.st_size}\0{entry.st_mtime_ns}\0".encode())
    return state.hexdigest()[:16]


def _libraries(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for path in place.rglob("*"):
        if ".so" in path.suffixes and path.is_file() and not path.is_symlink():
            yield path


def _build(places: Sequence[Path], folder: Path) -> None:
    _call("gcc", "-O2", "-shared", "-fPIC", "-o", str(folder / _LIBRARY), str(_SOURCE))
    for place in places:
        target = folder / place.name
        if place.is_dir():
            shutil.copytree(place, target, symlinks=True, copy_function=_link)
        else:
            _link(place, target)
        for path in list(_libraries(target)):
            _mask(path)
        # Wheels keep shared libraries beside the package, where its own library looks for them.
        for beside in place.parent.glob("*.libs"):
            shutil.copytree(beside, folder / beside.name, copy_function=_link, dirs_exist_ok=True)
    (folder / _MARKER).touch()


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # another file system
        shutil.copy2(source, target)


def _mask(path: Path) -> None:
    """Exchange the instructions in a library, which becomes a file of its own if there are any."""
    content = bytearray(path.read_bytes())
    offsets = _cpuid_offsets(path, bytes(content))
    if not offsets:
        return
    for offset in offsets:
        content[offset : offset + 2] = _UD0
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def _cpuid_offsets(path: Path, content: bytes) -> list[int]:
    """Where in the file the CPUID instructions are."""
    if _CPUID not in content or content[:5] != b"\x7fELF\x02":
        return []
    text = _call("objdump", "-d", "--no-show-raw-insn", "-M", "intel", str(path))
    addresses = [int(found, 16) for found in re.findall(r"^\s*([0-9a-f]+):\s+cpuid\s*$", text, re.M)]
    offsets = [_file_offset(address, content) for address in addresses]
    return [offset for offset in offsets if content[offset : offset + 2] == _CPUID]


def _file_offset(address: int, content: bytes) -> int:
    """Place in an ELF file of what is loaded at `address`, from its program headers (ELF-64 specification, 5)."""
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for i in range(count):
        kind, _, offset, start, _, length = struct.unpack_from("<IIQQQQ", content, table + i * size)
        if kind == 1 and start <= address < start + length:
            return int(offset + address - start)
    return len(content)


def _call(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError as error:
        raise SparsrError(f"{command[0]} is not installed", "apt install gcc binutils") from error
    except subprocess.CalledProcessError as error:
        raise SparsrError(f"{command[0]} failed: {error.stderr.strip().splitlines()[-1]}") from error
