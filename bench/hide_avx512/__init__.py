"""Engines that believe the CPU has no AVX-512 and no AMX: how the AVX2 figures are made, for all engines alike."""
