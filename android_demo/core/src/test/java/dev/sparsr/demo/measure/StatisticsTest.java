package dev.sparsr.demo.measure;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

public class StatisticsTest {
    @Test
    public void quantilesInterpolate() {
        Statistics.Summary summary = Statistics.summarise(new double[] {4, 1, 3, 2});
        assertEquals(4, summary.count);
        assertEquals(1, summary.minimum, 0);
        assertEquals(1.75, summary.lowerQuartile, 1e-12);
        assertEquals(2.5, summary.median, 1e-12);
        assertEquals(3.25, summary.upperQuartile, 1e-12);
        assertEquals(3.7, summary.p90, 1e-12);
    }

    @Test
    public void oneSampleIsAllOfThem() {
        Statistics.Summary summary = Statistics.summarise(new double[] {7});
        assertEquals(7, summary.minimum, 0);
        assertEquals(7, summary.p90, 0);
    }

    @Test(expected = IllegalArgumentException.class)
    public void noSamplesAreRefused() {
        Statistics.summarise(new double[0]);
    }

    /** Table of distribution-free intervals: of 6 samples the range holds the median with 1 - 2/64, of 9 the second ones. */
    @Test
    public void intervalsOfTheMedian() {
        double[] six = {1, 2, 3, 4, 5, 6};
        double[] ones = {1, 1, 1, 1, 1, 1, 1, 1, 1};
        Statistics.Ratio ratio = Statistics.pairedRatio(six, java.util.Arrays.copyOf(ones, 6));
        assertEquals(3.5, ratio.median, 1e-12);
        assertEquals(1, ratio.low, 0);
        assertEquals(6, ratio.high, 0);
        assertEquals(1 - 2.0 / 64, ratio.confidence, 1e-12);
        ratio = Statistics.pairedRatio(new double[] {9, 8, 7, 6, 5, 4, 3, 2, 1}, ones);
        assertEquals(2, ratio.low, 0);
        assertEquals(8, ratio.high, 0);
        assertEquals(1 - 2 * 10.0 / 512, ratio.confidence, 1e-12);
        assertTrue(ratio.confidence >= 0.95);
    }

    @Test
    public void ratiosPairSamplesOfOneRound() {
        // What disturbs a round disturbs both: the ratio does not change.
        Statistics.Ratio ratio = Statistics.pairedRatio(new double[] {2, 20, 6}, new double[] {1, 10, 3});
        assertEquals(2, ratio.low, 0);
        assertEquals(2, ratio.high, 0);
    }
}
