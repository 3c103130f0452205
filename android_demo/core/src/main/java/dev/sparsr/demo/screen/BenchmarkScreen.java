package dev.sparsr.demo.screen;

import dev.sparsr.demo.measure.Parity;
import dev.sparsr.demo.measure.Results;
import dev.sparsr.demo.measure.Row;
import dev.sparsr.demo.measure.Statistics;
import dev.sparsr.demo.measure.Texts;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The screen that measures: what is seen of its state. Nothing on it moves while something is measured. */
public final class BenchmarkScreen {
    public static final String BUNDLE = "bundle:";
    public static final String ENGINE = "engine:";
    public static final String SIZE = "size:";
    public static final String THREADS = "threads:";
    public static final String CORES = "cores:";
    public static final String SUSTAINED = "sustained:";
    public static final String START = "start";
    public static final String CANCEL = "cancel";
    public static final String SHARE = "share";

    public static final int[][] SIZES = {{160, 90}, {320, 180}, {640, 360}};
    public static final int[] SUSTAINED_SECONDS = {0, 60, 600};
    public static final String[] CORE_SETS = {"all", "fastest", "slowest"};

    public String[] bundles = {};
    public boolean[] bundleChosen = {};
    public String[] engines = {};
    public boolean[] engineChosen = {};
    public int size;
    public int[] threadCounts = {1};
    public int threads;
    public int cores;
    public int sustained;
    public boolean running;
    public String step = "";
    public double progress;
    public String error;
    public String hint;
    public Results results;

    /** Its cards. */
    public List<Page.Card> cards() {
        List<Page.Card> cards = new ArrayList<Page.Card>();
        cards.add(running ? runningCard() : choices());
        if (error != null) cards.add(new Page.Card().add(Elements.error(error, hint)));
        if (results != null && !running) {
            cards.add(figures());
            cards.add(details());
            if (!results.curve.isEmpty()) cards.add(curve());
        }
        return cards;
    }

    private Page.Card runningCard() {
        return new Page.Card().add(Elements.heading("Measuring"))
                .add(Elements.progress(step, progress))
                .add(Elements.note("Leave the phone alone until it is done: whatever else it does is measured too."))
                .add(Elements.button("Cancel", CANCEL, false));
    }

    private Page.Card choices() {
        if (bundles.length == 0) {
            return new Page.Card().add(Elements.heading("There is no network yet"))
                    .add(Elements.text("Bring in a bundle made by sparsr export: a folder or a zip file."))
                    .add(Elements.button("Open Bundles", Page.TAB + 3, true));
        }
        String[] sizes = new String[SIZES.length];
        for (int i = 0; i < sizes.length; ++i) sizes[i] = SIZES[i][0] + "x" + SIZES[i][1];
        String[] counts = new String[threadCounts.length];
        for (int i = 0; i < counts.length; ++i) counts[i] = String.valueOf(threadCounts[i]);
        return new Page.Card()
                .add(Elements.choice("Networks: a pruned one beside its dense twin", BUNDLE, bundles, bundleChosen))
                .add(Elements.choice("Engines", ENGINE, engines, engineChosen))
                .add(Elements.choice("Input", SIZE, sizes, size))
                .add(Elements.choice("Threads", THREADS, counts, threads))
                .add(Elements.choice("Cores", CORES, CORE_SETS, cores))
                .add(Elements.choice("Sustained", SUSTAINED, new String[] {"no", "1 minute", "10 minutes"}, sustained))
                .add(Elements.button("Measure", START, true));
    }

    private Page.Card figures() {
        List<Figures.Bar> bars = new ArrayList<Figures.Bar>();
        for (Row row : results.rows) {
            String name = row.bundle.id() + ", " + row.engine.name();
            if (row.failure != null || row.wall.isEmpty()) {
                bars.add(new Figures.Bar(name, "-", row.failure == null ? "Not measured." : row.failure, 0, false));
                continue;
            }
            Statistics.Summary summary = Statistics.summarise(results.samples(row));
            boolean pruned = row.opponent != null && row.opponent.bundle != row.bundle;
            bars.add(new Figures.Bar(name, Texts.milliseconds(summary.median), note(row, summary, pruned), summary.median, pruned));
        }
        String basis = results.byProcessorTime() ? "processor time" : "wall time";
        return new Page.Card()
                .add(Elements.heading(results.plan.width + "x" + results.plan.height + ", " + results.plan.threads
                        + (results.plan.threads == 1 ? " thread" : " threads") + ", median " + basis))
                .add(Figures.bars(bars))
                .add(Elements.note(results.cancelled ? "Cancelled after " + results.rounds + " rounds." : results.rounds + " rounds, interleaved."))
                .add(Elements.button("Share result", SHARE, false));
    }

    private static String note(Row row, Statistics.Summary summary, boolean pruned) {
        String text = "p90 " + Texts.milliseconds(summary.p90) + ", first run " + Texts.milliseconds(row.first);
        if (row.memoryPeak > row.memoryBefore) text += ", memory +" + Texts.size(row.memoryPeak - row.memoryBefore);
        if (pruned) {
            text += String.format(Locale.ROOT, ". %.1f times as fast as the dense twin in %s (%.1f to %.1f)", row.ratio.median,
                    row.opponent.engine.name(), row.ratio.low, row.ratio.high);
        }
        return text + ". " + parity(row.parity);
    }

    private static String parity(Parity parity) {
        if (parity == null) return "No stored reference to check against.";
        String share = String.format(Locale.ROOT, "%.2f %%", 100 * parity.identical);
        return parity.largest <= 1 ? share + " of the values equal to the reference, none off by more than one level."
                : "WRONG: up to " + parity.largest + " levels off the reference, " + share + " equal.";
    }

    private Page.Card details() {
        Page.Card card = new Page.Card().add(Elements.heading("Device"));
        card.add(Elements.text(results.machine.get("model") + ", " + results.machine.get("cpu")));
        card.add(Elements.note("Before: " + condition(results.before)));
        return card.add(Elements.note("After: " + condition(results.after)));
    }

    private static String condition(Map<String, Object> condition) {
        StringBuilder text = new StringBuilder();
        for (Map.Entry<String, Object> entry : condition.entrySet()) {
            if (text.length() > 0) text.append(", ");
            text.append(entry.getKey().replace('_', ' ')).append(' ').append(entry.getValue());
        }
        return text.toString();
    }

    private Page.Card curve() {
        int count = results.curve.size();
        double[] at = new double[count];
        double[] values = new double[count];
        double largest = 0;
        for (int i = 0; i < count; ++i) {
            at[i] = results.curve.get(i).at;
            values[i] = results.curve.get(i).seconds;
            largest = Math.max(largest, values[i]);
        }
        String verdict = String.format(Locale.ROOT, "At the end a run takes %.2f times as long as at first.", values[count - 1] / values[0]);
        return new Page.Card().add(Elements.heading("Sustained: " + results.rows.get(0).bundle.id()))
                .add(Figures.curve(at, values, Texts.milliseconds(largest), String.format(Locale.ROOT, "%.0f s", at[count - 1])))
                .add(Elements.note(verdict));
    }
}
