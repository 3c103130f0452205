"""What bundles execute on arm64, without a phone: `python android_demo/tuning/arm64.py [--size WxH] BUNDLE...`.

Two kinds of figures. *Emulated*: instructions and multiply-adds of one run, counted by QEMU, exact and repeatable.
*Model*: cycles of the blocks that multiply most, by llvm-mca's models of processors, which know no caches: a guard
against worse code, never a phone's time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from sparsr.runtime.engines.native import build as builder
from sparsr.runtime.model.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]
COUNTER = ROOT / "bench" / "targets" / "executed.c"
EMULATOR = ("qemu-aarch64", "-cpu", "cortex-a76")
LLVM = 19


@dataclass(frozen=True)
class Processor:
    """A model of llvm-mca."""

    name: str
    options: tuple[str, ...]
    multiply_adds: int
    """Vector multiply-adds a cycle at best."""


# llvm-mca has no model of the Cortex-A76 nor of the X cores: their server twins stand for them.
PROCESSORS = (
    Processor("A55", ("-mcpu=cortex-a55",), 1),
    Processor("A76 (Neoverse N1)", ("-mcpu=neoverse-n1", "-dispatch=4"), 2),
    Processor("X1 (Neoverse V1)", ("-mcpu=neoverse-v1",), 4),
)


_ADDRESS = re.compile(r"^((?:bl?|b\.\w+|cbn?z|tbn?z|adrp?)\s.*?)0x[0-9a-f]+$")


@dataclass(frozen=True)
class Block:
    """Code that is executed without a branch."""

    address: int
    instructions: int
    lanes: int
    """Multiply-adds of values."""
    executed: int

    @property
    def vector_multiply_adds(self) -> int:
        """Executed instructions that multiply and add four values."""
        return self.lanes * self.executed // 4


def main() -> int:
    """Print a table of the bundles' figures as Markdown; 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--size", default="96x24", metavar="WxH", help="input pixels (default 96x24)")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plugin = folder / "executed.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", str(COUNTER), "-o", str(plugin)], check=True)
        runner = build_runner()
        names = "".join(f" {processor.name} |" for processor in PROCESSORS)
        print("| bundle | instructions | vector multiply-adds | of instructions | hot blocks hold |" + names)
        print("|---|---|---|---|---|" + "---|" * len(PROCESSORS))
        for bundle in options.bundles:
            print(row(bundle, width, height, runner, plugin, folder), flush=True)
    return 0


def build_runner() -> Path:
    """The static arm64 runner, built once."""
    folder = builder.cache() / f"{builder.digest()}-arm64"
    if not folder.is_dir():
        builder.build(folder, f"-DCMAKE_TOOLCHAIN_FILE={builder.SOURCES / 'arm64.cmake'}", "-DSPARSR_TOOLS=ON")
    return folder / builder.RUNNER


def row(bundle: Path, width: int, height: int, runner: Path, plugin: Path, folder: Path) -> str:
    """A bundle's line of the table."""
    model = folder / "model"
    model.write_bytes(Bundle.open(bundle).model("native"))
    noise = bytes(os.urandom(3 * width * height))
    (folder / "in.ppm").write_bytes(b"P6\n%d %d\n255\n" % (width, height) + noise)
    counts, blocks = [], {}
    for repeat in (1, 2):  # the difference is one run, without loading
        listing = folder / f"blocks{repeat}"
        plugged = (*EMULATOR, "-plugin", f"{plugin},blocks={listing}", str(runner))
        command = [*plugged, *(str(folder / name) for name in ("model", "in.ppm", "out.ppm")), "--repeat", str(repeat)]
        environment = dict(os.environ, SPARSR_PLAN="estimate")
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        counts.append(json.loads(result.stderr))
        blocks[repeat] = read_blocks(listing)
    total = {name: counts[1][name] - counts[0][name] for name in counts[0]}
    once = {(block.address, block.instructions): block.executed for block in blocks[1]}
    one_run = [
        replace(block, executed=block.executed - once.get((block.address, block.instructions), 0))
        for block in blocks[2]
    ]
    hot, share = hot_blocks(one_run)
    multiply_adds = total["multiply_adds"] / 4
    cells = [
        bundle.name,
        f"{total['instructions'] / 1e6:.1f} M",
        f"{multiply_adds / 1e6:.1f} M",
        f"{100 * multiply_adds / total['instructions']:.0f} %",
        f"{100 * share:.0f} %",
        *(f"{100 * achieved(hot, runner, processor):.0f} %" for processor in PROCESSORS),
    ]
    return "| " + " | ".join(cells) + " |"


def read_blocks(path: Path) -> list[Block]:
    """What the plugin listed; a block that was translated several times is one."""
    blocks: dict[tuple[int, int], Block] = {}
    for line in path.read_text().splitlines():
        address, instructions, lanes, executed = line.split()
        key = int(address, 16), int(instructions)
        before = blocks[key].executed if key in blocks else 0
        blocks[key] = Block(*key, int(lanes), before + int(executed))
    return list(blocks.values())


def hot_blocks(blocks: list[Block], wanted: float = 0.9) -> tuple[list[Block], float]:
    """The fewest blocks with at least that share of all multiply-adds, and the share they have."""
    total = sum(block.vector_multiply_adds for block in blocks)
    hot: list[Block] = []
    held = 0
    for block in sorted(blocks, key=lambda block: -block.vector_multiply_adds):
        if held >= wanted * total:
            break
        hot.append(block)
        held += block.vector_multiply_adds
    return hot, held / total


def achieved(hot: list[Block], runner: Path, processor: Processor) -> float:
    """Multiply-adds of the hot blocks as a share of what the processor could do in the same cycles, by its model."""
    cycles = sum(block.executed * block_cycles(block, runner, processor) for block in hot)
    return sum(block.vector_multiply_adds for block in hot) / cycles / processor.multiply_adds


def block_cycles(block: Block, runner: Path, processor: Processor) -> float:
    """Cycles of a block that is executed again and again."""
    end = block.address + 4 * block.instructions
    ranges = [f"--start-address={block.address:#x}", f"--stop-address={end:#x}"]
    dump = subprocess.run(
        [f"llvm-objdump-{LLVM}", "-d", "--no-show-raw-insn", *ranges, str(runner)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = re.findall(r"^\s*[0-9a-f]+:\s+(.*)$", dump, re.M)
    # Where branches lead does not matter to the model; its assembler takes distances, not addresses.
    code = "\n".join(_ADDRESS.sub(r"\1#0", re.sub(r"\s*<.*$", "", line)) for line in lines)
    iterations = 200
    analysis = [f"llvm-mca-{LLVM}", "-mtriple=aarch64", *processor.options, f"-iterations={iterations}"]
    result = subprocess.run(analysis, input=code, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"llvm-mca does not take the block at {block.address:#x}: {result.stderr[:500]}")
    found = re.search(r"Total Cycles:\s+(\d+)", result.stdout)
    assert found
    return int(found[1]) / iterations


if __name__ == "__main__":
    main()
