"""What a device makes of the small picture that a bundle stores, against the result stored beside it.

That result is the author's own code's, from the day of the export: no engine of ours takes part in it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from sparsr.bench.measure.compare import difference
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.measure.results import Difference
from sparsr.bench.targets.contract import Job
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.reference import Reference
from sparsr.runtime.samples import FloatArray

STORED = "stored in the bundle"
"""The reference's name in the results."""


def check_stored(plan: Plan, subject: Subject, job: Job, folder: Path) -> Difference | None:
    """How far the target's result is off, by a worker of its own for `job`'s engine and model.

    None if the bundle stores none. Raises `SparsrError` if it cannot be computed there.
    """
    reference = Reference.of(subject.bundle.path)
    if reference is None:
        return None
    value_range, name = subject.card.value_range, f"stored-{Path(job.output).name}"
    file = folder / name
    (reference.image * np.float32(value_range / 255)).astype("<f4").tofile(file)
    height, width = reference.image.shape[:2]
    image, output = plan.target.put(file, f"{name}.in"), plan.target.path(name)
    small = dataclasses.replace(job, image=image, output=output, width=width, height=height, warm_up=0)
    session = plan.target.run(small, plan.timeout)
    try:
        session.finish()
        plan.target.get(output, file)
    finally:
        session.close()
    values = np.fromfile(file, "<f4")
    if values.size != reference.result.size:
        raise SparsrError(f"the result for the stored picture has {values.size} values, not {reference.result.size}")
    levels: FloatArray = values.reshape(reference.result.shape) * np.float32(255 / value_range)
    return difference(STORED, reference.result.astype(np.float32), levels)
