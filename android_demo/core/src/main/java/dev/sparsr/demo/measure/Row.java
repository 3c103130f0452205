package dev.sparsr.demo.measure;

import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.engine.Engine;
import java.util.ArrayList;
import java.util.List;

/** One bundle in one engine: its measurement, or why there is none. */
public final class Row {
    public final Bundle bundle;
    public final Engine engine;
    /** Why there is no measurement, or null. */
    public String failure;
    public String hint;
    /** Seconds. */
    public double load;
    public double first;
    public final List<Double> wall = new ArrayList<Double>();
    public final List<Double> processor = new ArrayList<Double>();
    /** Bytes before the model was loaded, and the most seen since. */
    public long memoryBefore;
    public long memoryPeak;
    /** Against the bundle's stored reference. */
    public Parity parity;
    /** The fastest engine on the dense counterpart, and how many times longer it takes. */
    public Row opponent;
    public Statistics.Ratio ratio;

    Row(Bundle bundle, Engine engine) {
        this.bundle = bundle;
        this.engine = engine;
    }

    void fail(String reason, String advice) {
        failure = reason;
        hint = advice == null || advice.isEmpty() ? null : advice;
    }

    /** Measured, and what it computes is what was exported, as far as that can be told. */
    public boolean correct() {
        return failure == null && (parity == null || parity.largest <= 1);
    }

    /** Wall times in seconds. */
    public double[] wallSamples() {
        return array(wall);
    }

    /** Processor times in seconds. */
    public double[] processorSamples() {
        return array(processor);
    }

    private static double[] array(List<Double> values) {
        double[] result = new double[values.size()];
        for (int i = 0; i < result.length; ++i) result[i] = values.get(i);
        return result;
    }
}
