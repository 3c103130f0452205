package dev.sparsr;

/** Which of a processor's cores the engine computes on. */
public final class Cores {
    private Cores() {}

    /**
     * Keeps the calling thread, and the threads that models get from it from now on, on some cores.
     *
     * @param cores their numbers, 0 to 63
     * @return whether the system agreed: it may keep cores to itself
     */
    public static boolean use(int... cores) {
        if (SparsrModel.unavailable() != null) return false;
        long mask = 0;
        for (int core : cores) {
            if (core >= 0 && core < 64) mask |= 1L << core;
        }
        return mask != 0 && nativeUse(mask);
    }

    private static native boolean nativeUse(long mask);
}
