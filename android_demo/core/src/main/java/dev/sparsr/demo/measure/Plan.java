package dev.sparsr.demo.measure;

import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.engine.Engine;
import java.util.List;

/** What to measure and how. */
public final class Plan {
    public static final int LARGEST_SIDE = 4096;

    public final List<Bundle> bundles;
    public final List<Engine> engines;
    /** Pixels of the input. */
    public final int width;
    public final int height;
    public final int threads;
    public final int rounds;
    /** How long to go on with the first bundle and engine afterwards, to see it throttle; 0: not at all. */
    public final int sustainedSeconds;
    /** Which cores: all, fastest or slowest. */
    public final String cores;

    public Plan(List<Bundle> bundles, List<Engine> engines, int width, int height, int threads, int rounds,
            int sustainedSeconds, String cores) {
        this.bundles = bundles;
        this.engines = engines;
        this.width = width;
        this.height = height;
        this.threads = threads;
        this.rounds = rounds;
        this.sustainedSeconds = sustainedSeconds;
        this.cores = cores;
        check("width", width, 1, LARGEST_SIDE);
        check("height", height, 1, LARGEST_SIDE);
        check("threads", threads, 1, 64);
        check("rounds", rounds, 1, 1000);
        check("sustained", sustainedSeconds, 0, 3600);
        if (bundles.isEmpty()) throw new SparsrException("There is no bundle to measure.", "Bring one in first.");
        if (engines.isEmpty()) {
            throw new SparsrException("No engine runs on this device.", "SparSR needs a 64-bit ARM processor.");
        }
    }

    private static void check(String name, int value, int low, int high) {
        if (value < low || value > high) {
            throw new SparsrException(name + " is " + value + ", not " + low + " to " + high + ".");
        }
    }
}
