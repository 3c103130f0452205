package dev.sparsr.demo.measure;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** How far a result is from the stored one. */
public final class Parity {
    /** In 8-bit levels, after rounding. */
    public final int largest;
    /** The same before rounding, half a level of the stored one's included. */
    public final double largestExact;
    /** Share of the values that are the same after rounding. */
    public final double identical;

    private Parity(int largest, double largestExact, double identical) {
        this.largest = largest;
        this.largestExact = largestExact;
        this.identical = identical;
    }

    static Parity compare(ByteBuffer result, byte[] expected, double valueRange) {
        FloatBuffer values = result.order(ByteOrder.nativeOrder()).asFloatBuffer();
        double toLevels = 255 / valueRange;
        int largest = 0;
        int same = 0;
        double exact = 0;
        for (int i = 0; i < expected.length; ++i) {
            double value = values.get(i) * toLevels;
            if (Double.isNaN(value)) return new Parity(255, 255, 0);
            int level = (int) Math.max(0, Math.min(255, Math.rint(value)));
            int difference = Math.abs(level - (expected[i] & 0xff));
            largest = Math.max(largest, difference);
            if (difference == 0) ++same;
            double clipped = Math.max(0, Math.min(255, value));
            exact = Math.max(exact, Math.abs(clipped - (expected[i] & 0xff)));
        }
        return new Parity(largest, exact, (double) same / expected.length);
    }
}
