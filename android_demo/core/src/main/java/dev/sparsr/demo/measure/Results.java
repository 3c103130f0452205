package dev.sparsr.demo.measure;

import dev.sparsr.demo.bundle.Card;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What a measurement gave. {@link ResultJson} says how it is written. */
public final class Results {
    public final String created;
    public final Plan plan;
    public final Map<String, Object> machine;
    public final List<Row> rows = new ArrayList<Row>();
    /** Thermal status and battery. */
    public Map<String, Object> before;
    public Map<String, Object> after;
    public int rounds;
    public boolean cancelled;
    /** How the first row went on in the sustained mode. */
    public final List<Sample> curve = new ArrayList<Sample>();

    Results(String created, Plan plan, Map<String, Object> machine) {
        this.created = created;
        this.plan = plan;
        this.machine = machine;
    }

    /** The runs of a second or so of the sustained mode. */
    public static final class Sample {
        /** Seconds since its begin. */
        public final double at;
        /** Median seconds of a run. */
        public final double seconds;
        /** Thermal status, or null if the system does not tell. */
        public final String thermal;

        public Sample(double at, double seconds, String thermal) {
            this.at = at;
            this.seconds = seconds;
            this.thermal = thermal;
        }
    }

    /** Processor time for one thread, where it hides the device's other work; else wall time. */
    public boolean byProcessorTime() {
        return plan.threads == 1;
    }

    /** What a row is ranked by. */
    public double[] samples(Row row) {
        return byProcessorTime() ? row.processorSamples() : row.wallSamples();
    }

    /** The dense bundle of the same network and scale, or null: of several the largest. */
    Card counterpart(Card card) {
        Card found = null;
        for (Row row : rows) {
            Card other = row.bundle.card;
            boolean twin = other.method.equals("dense") && other.architecture.equals(card.architecture)
                    && other.scale == card.scale;
            if (twin && (found == null || other.parameters > found.parameters)) found = other;
        }
        return found;
    }

    /** The id of a card's bundle. */
    String idOf(Card card) {
        for (Row row : rows) {
            if (row.bundle.card == card) return row.bundle.id();
        }
        return null;
    }

    /** Finds every row's opponent: the fastest correct engine on its dense counterpart. */
    void compare() {
        for (Row row : rows) {
            Card counterpart = counterpart(row.bundle.card);
            if (row.failure != null || counterpart == null) continue;
            Row fastest = null;
            for (Row other : rows) {
                if (other.bundle.card != counterpart || !other.correct()) continue;
                if (fastest == null || median(other) < median(fastest)) fastest = other;
            }
            if (fastest == null) continue;
            row.opponent = fastest;
            row.ratio = Statistics.pairedRatio(samples(fastest), samples(row));
        }
    }

    private double median(Row row) {
        return Statistics.summarise(samples(row)).median;
    }
}
