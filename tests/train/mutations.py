"""Small faults in the methods, each of which a test must notice: `pytest -m mutation tests/train` plants them all.

A mutant that survives is a behaviour nobody states. Add a row with every behaviour that a method gets. With
SPARSR_MUTATE_SINCE=COMMIT only faults in files that changed since are planted: `make mutate SINCE=COMMIT`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One fault: in `file` (below the folder `part`) `old`, which is there exactly once, becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    """The file below tests/`part` whose tests have to fail."""
    part: str = "train"


STEPS = "test_methods_step_by_step.py"

SEARCH = "test_search.py"

MUTANTS = [
    # ASSL and GASSL
    Mutant("no alignment penalty", "pruning/assl.py", "if len(group.writers) > 1:", "if False:", STEPS),
    Mutant("its weight ignored", "pruning/assl.py", "return self.settings.ssa_weight * total", "return total", STEPS),
    Mutant("not on the stream", "pruning/assl.py", "if len(group.writers) > 1:", "if len(group.writers) == 1:", STEPS),
    Mutant("disagreement rewarded", "pruning/assl.py", "return -(masks", "return (masks", STEPS),
    Mutant(
        "threshold one channel off",
        "pruning/assl.py",
        "[:, removed : removed + 1]",
        "[:, removed - 1 : removed]",
        STEPS,
    ),
    Mutant(
        "no coefficients while growing",
        "pruning/assl.py",
        "        self._grow(self.groups(network), step)\n        self._apply(network, step)",
        "        self._grow(self.groups(network), step)",
        STEPS,
    ),
    Mutant(
        "no coefficients while stabilising",
        "pruning/assl.py",
        "self._rate, adjust_gradients=self._apply)",
        "self._rate)",
        STEPS,
    ),
    Mutant(
        "no coefficients while aligning",
        "pruning/assl.py",
        "        self._grow(own, step)\n        self._apply(network, step)",
        "        self._grow(own, step)",
        STEPS,
    ),
    Mutant(
        "stream grows while aligning",
        "pruning/assl.py",
        "own = [group for group in self.groups(network) if len(group.writers) == 1]",
        "own = self.groups(network)",
        STEPS,
    ),
    Mutant("not picked anew", "pruning/assl.py", "        self._pick(network)  # anew", "        # anew", STEPS),
    Mutant("kept channels penalised", "pruning/assl.py", "removed = torch.ones(", "removed = 1 - torch.ones(", STEPS),
    Mutant("all channels penalised", "pruning/assl.py", "removed[self.kept[group.name]] = 0", "pass", STEPS),
    Mutant("signed scales", "pruning/assl.py", "scale.detach().abs() for", "scale.detach() for", STEPS),
    Mutant("bias not penalised", "pruning/assl.py", "in (conv.wn_scale, conv.bias)", "in (conv.wn_scale,)", STEPS),
    Mutant(
        "one writer penalised",
        "pruning/assl.py",
        "for writer in group.writers:",
        "for writer in group.writers[:1]:",
        STEPS,
    ),
    Mutant("limit not exceeded", "pruning/assl.py", "+ 1e-9) + 1", "+ 1e-9)", STEPS),
    Mutant("grows at every step", "pruning/assl.py", "if step % s.interval:", "if False:", STEPS),
    Mutant(
        "HAIR on the first group",
        "pruning/gassl.py",
        "        for group in self.groups(network):\n            penalise(network, group, torch.full",
        "        for group in self.groups(network)[:1]:\n            penalise(network, group, torch.full",
        STEPS,
    ),
    Mutant(
        "HAIR's weights kept",
        "pruning/gassl.py",
        "super()._begin_ssa(self._dense()",
        "super()._begin_ssa((network)",
        "test_pruning.py",
    ),
    Mutant("layers emptied", "pruning/gassl.py", ".clamp(max=group.size - 1)", "", "test_pruning.py"),
    Mutant("rounded down", "pruning/selection.py", "math.ceil(ratio * total)", "int(ratio * total)", "test_pruning.py"),
    Mutant(
        "the worst channels stay",
        "pruning/selection.py",
        "scores.detach().tolist()",
        "(-scores).detach().tolist()",
        STEPS,
    ),
    Mutant(
        "threshold without its gradient",
        "pruning/assl.py",
        "theta = scales.",
        "theta = scales.detach().",
        "test_pruning.py",
    ),
    Mutant(
        "HAIR's widths ignored",
        "pruning/gassl.py",
        "self.counts = self._select(network)",
        "self._select(network)",
        STEPS,
    ),
    Mutant(
        "a stream narrower than its layers' mean",
        "pruning/gassl.py",
        "removed = int(below.sum()) // len(group.writers)",
        "removed = -(-int(below.sum()) // len(group.writers))",
        "test_pruning.py",
    ),
    Mutant(
        "agreed by the last layer", "pruning/selection.py", "return scores[0]", "return scores[-1]", "test_pruning.py"
    ),
    Mutant("nothing starts afresh", "pruning/l1.py", "if matches(name, reinit):", "if False:", "test_pruning.py"),
    # SMSR
    Mutant("one noise for all steps", "smsr/training.py", "(self._seed, step, index)", "(self._seed, index)", STEPS),
    Mutant("one noise for all blocks", "smsr/training.py", "(self._seed, step, index)", "(self._seed, step)", STEPS),
    Mutant("one noise for all seeds", "smsr/training.py", "(self._seed, step, index)", "(step, index)", STEPS),
    Mutant("no warm-up", "smsr/training.py", "warm = step > settings.warm_up_steps", "warm = True", STEPS),
    Mutant("no cooling", "smsr/training.py", "(step - 1) / settings.cool_down_steps,", "0,", STEPS),
    Mutant("cooled too far", "smsr/training.py", ", settings.least_temperature)", ", 0.1)", STEPS),
    Mutant(
        "no sparsity penalty", "smsr/training.py", "penalty = sparsity_weight(", "penalty = 0 * sparsity_weight(", STEPS
    ),
    Mutant("uniform logits always", "smsr/training.py", "block.ch_mask.normal_()", "pass", STEPS),
    Mutant(
        "channels forgotten in the activity",
        "networks/sparse_masks.py",
        "self.activity = channel.mean() + (1 - channel.mean()) * spatial.mean()",
        "self.activity = spatial.mean()",
        "test_smsr.py",
    ),
    Mutant(
        "masks without noise", "networks/sparse_masks.py", "(logits.float() + noise)", "logits.float()", "test_smsr.py"
    ),
    Mutant(
        "ties are important",
        "networks/sparse_masks.py",
        "logits[:, 1:] > logits",
        "logits[:, 1:] >= logits",
        "test_smsr.py",
    ),
    Mutant(
        "sparse channels read everywhere",
        "networks/sparse_masks.py",
        "torch.outer(own, previous)",
        "torch.outer(own, torch.ones_like(own))",
        "test_smsr.py",
    ),
    Mutant(
        "inputs split by the layer's own masks",
        "networks/sparse_masks.py",
        "torch.outer(own, previous)",
        "torch.outer(own, own)",
        "test_smsr.py",
    ),
    Mutant(
        "unimportant pixels drawn",
        "networks/sparse_masks.py",
        "softmax(logits, 1, shared=False)[:, 1:]",
        "softmax(logits, 1, shared=False)[:, :1]",
        "test_smsr.py",
    ),
    # SLS and its baselines
    Mutant("order ignored", "pruning/sls.py", "conv.ordered.fill_(self.settings.ordered)", "pass", STEPS),
    Mutant(
        "every rank costs alike",
        "pruning/sls.py",
        "dense[name] * share for name, share",
        "dense[name] * torch.ones_like(share) / len(share) for name, share",
        STEPS,
    ),
    Mutant("no annealing", "pruning/sls.py", "self.annealing *= self.settings.anneal", "pass", "test_sls.py"),
    Mutant(
        "budget not looked at", "pruning/sls.py", "self.frozen = rate > 1 / self.settings.budget", "pass", "test_sls.py"
    ),
    Mutant(
        "ranks never renewed",
        "pruning/sls.py",
        "if step % self.settings.update_every == 0:",
        "if False:",
        "test_sls.py",
    ),
    Mutant("patterns renewed to the end", "pruning/sls.py", "if step <= last:", "if True:", "test_sls.py"),
    Mutant("scores not held", "pruning/sls.py", "        conv.scores.grad = None", "        pass", "test_sls.py"),
    Mutant("no decay outside of the mask", "pruning/sls.py", "alpha=self.settings.decay", "alpha=0.0", "test_sls.py"),
    Mutant(
        "decay inside of the mask",
        "pruning/sls.py",
        "outside = conv.rank >= self._n(name)",
        "outside = conv.rank < self._n(name)",
        "test_sls.py",
    ),
    Mutant("shut weights learn nothing", "pruning/sls.py", "conv.dense_gradient.fill_(True)", "pass", "test_sls.py"),
    Mutant("gates from the wrong side", "pruning/sparse_conv.py", "priorities > 0.5", "priorities < 0.5", STEPS),
    Mutant(
        "smallest weights first",
        "pruning/nm.py",
        "descending=True, stable=True",
        "descending=False, stable=True",
        "test_nm.py",
    ),
    Mutant(
        "scores clamped at one", "pruning/sparse_conv.py", "HIGHEST_SCORE = 1.03", "HIGHEST_SCORE = 1.0", "test_sls.py"
    ),
    Mutant(
        "gates without a gradient",
        "pruning/sparse_conv.py",
        " + (priorities - priorities.detach())",
        "",
        "test_sls.py",
    ),
    Mutant("scores as slow as weights", "pruning/sls.py", "conv.gain.fill_(self.settings.score_gain)", "pass", STEPS),
    Mutant("cost weighs on", "pruning/sls.py", "return cost.detach() * 0", "pass", "test_sls.py"),
    Mutant(
        "an exact budget underspent",
        "pruning/sls.py",
        "            if self.frozen and self.settings.exact:",
        "            if False:",
        STEPS,
    ),
    Mutant(
        "SR-STE's mask for good",
        "pruning/sls.py",
        "alpha=self.settings.decay)\n            conv.update_ranks()",
        "alpha=self.settings.decay)",
        "test_sls.py",
    ),
    Mutant("patterns not shared", "pruning/nm.py", "if shared > 1:", "if False:", "test_nm.py"),
    # Adaptive inference
    Mutant(
        "estimator without its gain loss",
        "adaptive/estimator.py",
        "loss = torch.stack(_losses(network(luma), errors, spread)).sum()",
        "loss = _losses(network(luma), errors, spread)[0]",
        "test_estimator_training.py",
    ),
    Mutant(
        "estimator without its error loss",
        "adaptive/estimator.py",
        "loss = torch.stack(_losses(network(luma), errors, spread)).sum()",
        "loss = _losses(network(luma), errors, spread)[1]",
        "test_estimator_training.py",
    ),
    Mutant(
        "windows without surroundings",
        "upscale/adaptive/upscaler.py",
        "max(keep_start - price.halo, block.start), min(keep_stop + price.halo, block.stop)",
        "keep_start, keep_stop",
        "test_adaptive.py",
        "runtime",
    ),
    Mutant(
        "tiles without surroundings",
        "upscale/upscaler.py",
        "APPROXIMATE_OVERLAP if radius is None else radius",
        "0",
        "test_upscaler.py",
        "runtime",
    ),
    # Quality
    Mutant(
        "the border counts",
        "quality/metrics.py",
        "return _psnr(*cropped_luma(sr, hr, border))",
        "return _psnr(*cropped_luma(sr, hr, 0))",
        "test_metrics.py",
    ),
    Mutant(
        "luma rounded",
        "quality/metrics.py",
        "return np.dot(rgb, _LUMA) + 16",
        "return np.round(np.dot(rgb, _LUMA) + 16)",
        "test_metrics.py",
    ),
    Mutant("LR rounded down", "data/bicubic.py", "np.floor(total + 0.5)", "np.floor(total)", "test_bicubic.py"),
    Mutant(
        "four of eight symmetries",
        "quality/evaluate.py",
        "itertools.product((False, True), ",
        "itertools.product((False, False), ",
        "test_folders.py",
    ),
    # Import
    Mutant(
        "skips assumed",
        "networks/rfdn.py",
        "(True, False) if _can_add(state) else (False,)",
        "(True,)",
        "test_importers.py",
    ),
    Mutant(
        "the less plausible reading",
        "importers/readings.py",
        "key=lambda c: c[0])",
        "key=lambda c: -c[0])",
        "test_importers.py",
    ),
    # The loop
    Mutant("penalty not added", "run/loop.py", "(loss + penalty).backward()", "loss.backward()", "test_loop_rules.py"),
    Mutant(
        "gradients not adjusted",
        "run/loop.py",
        "        phase.adjust_gradients(run.network, position.step)",
        "        pass",
        "test_loop_rules.py",
    ),
    # the search within a time
    Mutant(
        "the worse half goes on",
        "pruning/search.py",
        "key=lambda name: -psnr[name]",
        "key=lambda name: psnr[name]",
        SEARCH,
    ),
    Mutant(
        "costs of single filters",
        "pruning/layer_costs.py",
        "Sparsity(n, m, shared)",
        "Sparsity(n, m)",
        SEARCH,
    ),
    Mutant(
        "what cannot be pruned is free",
        "pruning/time_budget.py",
        "(budget.seconds - others) / dense",
        "budget.seconds / dense",
        SEARCH,
    ),
    Mutant("channels are not removed", "pruning/sls.py", "if self.settings.group_channels:", "if False:", SEARCH),
    Mutant("trials are not remembered", "run/trials.py", "if key not in self.known:", "if True:", SEARCH),
    Mutant("kept channels forgotten", "pruning/sls.py", "self.kept = kept_of(state)", "pass", SEARCH),
]
