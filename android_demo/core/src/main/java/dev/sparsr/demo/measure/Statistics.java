package dev.sparsr.demo.measure;

import java.util.Arrays;

/** Order statistics of repeated measurements, as bench/statistics.py defines them. */
public final class Statistics {
    private static final double CONFIDENCE = 0.95;

    private Statistics() {}

    /** Order statistics of one series, in the samples' unit. */
    public static final class Summary {
        public final int count;
        public final double minimum;
        public final double lowerQuartile;
        public final double median;
        public final double upperQuartile;
        /** Nine of ten samples lie below. */
        public final double p90;

        Summary(double[] sorted) {
            count = sorted.length;
            minimum = quantile(sorted, 0);
            lowerQuartile = quantile(sorted, 0.25);
            median = quantile(sorted, 0.5);
            upperQuartile = quantile(sorted, 0.75);
            p90 = quantile(sorted, 0.9);
        }
    }

    /** How many times larger one series is than another, sample by sample. */
    public static final class Ratio {
        public final double median;
        /** low to high holds the true median ratio with the probability {@link #confidence}. */
        public final double low;
        public final double high;
        public final double confidence;

        Ratio(double median, double low, double high, double confidence) {
            this.median = median;
            this.low = low;
            this.high = high;
            this.confidence = confidence;
        }
    }

    /** Summary of at least one sample. */
    public static Summary summarise(double[] samples) {
        if (samples.length == 0) throw new IllegalArgumentException("no samples");
        return new Summary(sorted(samples));
    }

    /** Median and its interval of numerator[i] / denominator[i], of samples taken in the same rounds. */
    public static Ratio pairedRatio(double[] numerator, double[] denominator) {
        int count = Math.min(numerator.length, denominator.length);
        if (count == 0) throw new IllegalArgumentException("no pairs");
        double[] ratios = new double[count];
        for (int i = 0; i < count; ++i) ratios[i] = numerator[i] / denominator[i];
        return medianInterval(sorted(ratios));
    }

    /**
     * The narrowest symmetric pair of order statistics around the median that holds it with a confidence of 0.95, or the
     * whole range if there are too few (Hahn and Meeker, Statistical Intervals, section 5.2).
     */
    private static Ratio medianInterval(double[] sorted) {
        int count = sorted.length;
        int best = 0;
        double outside = 0;
        double reached = 0;
        double term = Math.pow(0.5, count);  // of the binomial distribution: count over k, halved count times
        for (int k = 0; k < (count + 1) / 2; ++k) {
            outside += term;
            term *= (count - k) / (k + 1.0);
            if (k > 0 && 1 - 2 * outside < CONFIDENCE) break;
            best = k;
            reached = 1 - 2 * outside;
        }
        return new Ratio(quantile(sorted, 0.5), sorted[best], sorted[count - 1 - best], Math.max(reached, 0));
    }

    private static double[] sorted(double[] samples) {
        double[] sorted = samples.clone();
        Arrays.sort(sorted);
        return sorted;
    }

    /** By linear interpolation between order statistics. */
    private static double quantile(double[] sorted, double share) {
        double at = share * (sorted.length - 1);
        int below = (int) Math.floor(at);
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }
}
