"""What this machine computes: outputs of a phone, a board or an emulator are held against it."""

from __future__ import annotations

import numpy as np

from sparsr.bench.measure.engines import FloatArray
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.runtime.engines.registry import ENGINES, load_engine
from sparsr.runtime.errors import SparsrError

HERE = "native, here"
"""The reference's name in the results."""


def expected_here(plan: Plan, subject: Subject) -> FloatArray | None:
    """The output for the plan's image, [h, w, 3] in 8-bit levels, by this machine's native engine.

    None for this machine itself, where engines are held against each other, and where there is no such engine here.
    """
    if not plan.away:
        return None
    try:
        engine = load_engine("native", subject.bundle.model(ENGINES["native"].format), 1)
        output = engine.run(plan.input_image(subject.card.value_range)[None])[0]
    except SparsrError:
        return None
    return np.asarray(output * np.float32(255 / subject.card.value_range), np.float32)
