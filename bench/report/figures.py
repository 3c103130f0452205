"""The headline: networks in their best engines against the fastest dense runs. Only what the data says."""

from __future__ import annotations

from sparsr.bench.measure.engines import ENGINES
from sparsr.bench.measure.results import BundleInfo, Results, Row
from sparsr.bench.measure.statistics import PairedRatio
from sparsr.bench.report.blocks import Figure
from sparsr.bench.report.units import count, giga, mebibytes, milliseconds, percent_floor, times
from sparsr.runtime.model.card import BundleCard, ModelFormat

_ENDINGS: dict[ModelFormat, str] = {
    "onnx": ".onnx",
    "tflite": "model.tflite",
    "tflite-sparse": ".sparse.tflite",
    "native": ".safetensors",
}
"""Of the model files' names."""


def headline_row(results: Results, bundle: str) -> Row | None:
    """The row a bundle is judged by: its fastest correct one in an engine of the runtime, else in any engine."""
    return results.fastest(bundle, "runtime") or results.fastest(bundle)


def figures(results: Results, bundle: str, card: BundleCard | None) -> list[Figure]:
    """Those that can be given, the most telling first."""
    row = headline_row(results, bundle)
    info = results.info(bundle)
    dense = results.info(info.counterpart) if info.counterpart and info.counterpart != bundle else None
    found = [
        _speed(results, row) if row else None,
        _memory(results, row) if row else None,
        _disk(info, dense, row),
        _work(info, dense),
        _quality(info, dense),
        _parity(card) if card else None,
    ]
    return [figure for figure in found if figure]


def verdict(ratio: PairedRatio) -> tuple[str, str]:
    """(`3.7×`, `faster`), (`1.3×`, `slower`), or (`1.01×`, `as fast`) if the interval leaves it open."""
    if ratio.low > 1:
        return times(ratio.median), "faster"
    if ratio.high < 1:
        return times(1 / ratio.median), "slower"
    return times(ratio.median), "as fast"


def basis_name(results: Results) -> str:
    """What times are compared by, in words."""
    return "CPU time" if results.settings.basis == "cpu" else "wall time"


def _speed(results: Results, row: Row) -> Figure:
    size = f"a {results.settings.width}×{results.settings.height} input"
    time = milliseconds(results.time(row))
    against = results.opponent(row)
    if row.opponent is None or against is None:
        standing = "the fastest dense run here" if row.opponent else "no dense counterpart was measured"
        return Figure(time, f"per image in {row.engine}", f"{size}, {basis_name(results)}; {standing}")
    ratio = row.opponent.ratio
    value, word = verdict(ratio)
    network = "this network" if against.bundle == row.bundle else f"the dense {against.bundle}"
    detail = (
        f"{'as' if word == 'as fast' else 'than'} {against.engine}, the fastest engine measured on {network}: "
        f"{time} in {row.engine} against {milliseconds(results.time(against))} for {size}; "
        f"{ratio.confidence:.0%} interval of the speed ratio {ratio.low:.2f} to {ratio.high:.2f}"
    )
    return Figure(value, word, detail)


def _memory(results: Results, row: Row) -> Figure | None:
    if row.memory is None:
        return None
    share = mebibytes(row.memory.peak - row.memory.baseline)
    detail = f"peak of the process in {row.engine}, {share} of it the engine's"
    against = results.opponent(row)
    if against and against.memory:
        share = mebibytes(against.memory.peak - against.memory.baseline)
        detail += f". {against.bundle} in {against.engine}: {mebibytes(against.memory.peak)}, {share} the engine's"
    return Figure(mebibytes(row.memory.peak), "of memory", detail)


def _disk(info: BundleInfo, dense: BundleInfo | None, row: Row | None) -> Figure | None:
    names = [name for name in info.files if row is None or name.endswith(_ENDINGS[ENGINES[row.engine].format])]
    if not names:
        return None
    detail = names[0]
    if dense and names[0] in dense.files:
        detail += f". {dense.id}: {mebibytes(dense.files[names[0]])}"
    return Figure(mebibytes(info.files[names[0]]), "on disk", detail)


def _work(info: BundleInfo, dense: BundleInfo | None) -> Figure:
    detail = f"for a 1280×720 output, {count(info.parameters)} parameters"
    if dense:
        detail += f". {dense.id}: {giga(dense.gmacs_720p)} and {count(dense.parameters)}"
    return Figure(giga(info.work), "multiply-adds", detail)


def _quality(info: BundleInfo, dense: BundleInfo | None) -> Figure | None:
    if not info.quality:
        return None
    name, scores = next(iter(info.quality.items()))
    others = [f"{other} {entry['psnr_y']:.2f}" for other, entry in info.quality.items() if other != name]
    detail = f"Y-PSNR on {name}" + (f"; {', '.join(others)}" if others else "")
    if dense and name in dense.quality:
        detail += f". {dense.id}: {dense.quality[name]['psnr_y']:.2f} dB"
    return Figure(f"{scores['psnr_y']:.2f} dB", "of fidelity", detail)


def _parity(card: BundleCard) -> Figure | None:
    if not card.parity:
        return None
    identical = min(entry.identical_8bit for entry in card.parity)
    largest = max(entry.max_8bit for entry in card.parity)
    exact = max(entry.max_abs for entry in card.parity)
    off = "none differs" if largest == 0 else f"none off by more than {largest}"
    detail = f"8-bit values equal to the trained network's, {off}; float32 within {exact:.1e} of full range"
    return Figure(percent_floor(identical), "identical", f"{detail}, over {len(card.parity)} checks")
