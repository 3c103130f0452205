package dev.sparsr.demo.measure;

import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.bundle.Reference;
import dev.sparsr.demo.engine.Engine;
import dev.sparsr.demo.engine.FloatPixels;
import java.util.ArrayList;
import java.util.List;

/**
 * The measurement: every bundle in every engine, loaded and warmed up first, then one run each in rounds, so that what
 * disturbs the device for a while disturbs all of them. Nothing is drawn by it or while it runs, but for its progress
 * between two rounds.
 */
public final class Benchmark {
    /** Told of progress between runs, on the measuring thread. */
    public interface Progress {
        /** What is being done and how far it is, 0 to 1. Returns whether to go on. */
        boolean at(String step, double share);
    }

    private static final double CURVE_STEP_SECONDS = 1;

    private final Plan plan;
    private final Device device;
    private final Progress progress;
    private final List<Loaded> loaded = new ArrayList<Loaded>();

    public Benchmark(Plan plan, Device device, Progress progress) {
        this.plan = plan;
        this.device = device;
        this.progress = progress;
    }

    /** Measures; what fails becomes a row with its reason. */
    public Results run() {
        Results results = new Results(device.now(), plan, device.machine());
        results.before = device.condition();
        try {
            loadAll(results);
            measureRounds(results);
            sustain(results);
        } finally {
            for (Loaded one : loaded) one.session.close();
        }
        results.after = device.condition();
        results.compare();
        return results;
    }

    private void loadAll(Results results) {
        int count = plan.bundles.size() * plan.engines.size();
        for (Bundle bundle : plan.bundles) {
            for (Engine engine : plan.engines) {
                Row row = new Row(bundle, engine);
                results.rows.add(row);
                results.cancelled |= !progress.at("Loading " + bundle.id() + " in " + engine.name(),
                        0.2 * results.rows.size() / count);
                if (results.cancelled) {
                    row.fail("The measurement was cancelled.", null);
                    continue;
                }
                guarded(row, new Step() {
                    @Override
                    void run(Row row) {
                        load(row);
                    }
                });
            }
        }
    }

    private void load(Row row) {
        checkParity(row);
        row.memoryBefore = device.memoryBytes();
        long begin = device.wallNanos();
        Engine.Session session = row.engine.open(row.bundle, plan.height, plan.width, plan.threads);
        Loaded one = new Loaded(row, session, plan);
        loaded.add(one);
        row.load = (device.wallNanos() - begin) * 1e-9;
        begin = device.wallNanos();
        session.run();
        row.first = (device.wallNanos() - begin) * 1e-9;
        session.run();  // one more to warm up
        row.memoryPeak = Math.max(row.memoryBefore, device.memoryBytes());
    }

    private void checkParity(Row row) {
        Reference reference = row.bundle.reference;
        if (reference == null) return;
        double range = row.bundle.card.valueRange;
        Engine.Session session = row.engine.open(row.bundle, reference.height, reference.width, plan.threads);
        try {
            session.setImage(FloatPixels.image(reference.image, range));
            session.run();
            row.parity = Parity.compare(session.result(), reference.result, range);
        } finally {
            session.close();
        }
    }

    private void measureRounds(Results results) {
        for (int round = 0; round < plan.rounds && !results.cancelled; ++round) {
            for (Loaded one : loaded) {
                if (one.row.failure == null) guarded(one.row, one);
            }
            results.rounds = round + 1;
            results.cancelled = !progress.at("Round " + (round + 1) + " of " + plan.rounds,
                    0.2 + 0.8 * (round + 1) / plan.rounds);
        }
    }

    private void sustain(Results results) {
        if (plan.sustainedSeconds == 0 || results.cancelled || loaded.isEmpty()) return;
        Loaded one = loaded.get(0);
        if (one.row.failure != null) return;
        long begin = device.wallNanos();
        double now = 0;
        while (now < plan.sustainedSeconds && !results.cancelled) {
            List<Double> times = new ArrayList<Double>();
            double stepBegin = now;
            do {
                long runBegin = device.wallNanos();
                one.session.run();
                long end = device.wallNanos();
                times.add((end - runBegin) * 1e-9);
                now = (end - begin) * 1e-9;
            } while (now - stepBegin < CURVE_STEP_SECONDS && now < plan.sustainedSeconds);
            double[] samples = new double[times.size()];
            for (int i = 0; i < samples.length; ++i) samples[i] = times.get(i);
            Object thermal = device.condition().get("thermal");
            results.curve.add(new Results.Sample(now, Statistics.summarise(samples).median,
                    thermal == null ? null : String.valueOf(thermal)));
            results.cancelled = !progress.at("Sustained: " + (int) now + " of " + plan.sustainedSeconds + " s",
                    Math.min(1, now / plan.sustainedSeconds));
        }
    }

    private abstract static class Step {
        abstract void run(Row row);
    }

    /** Runs a step of a row; what it throws is the row's, not the measurement's. */
    private static void guarded(Row row, Step step) {
        try {
            step.run(row);
        } catch (SparsrException error) {
            row.fail(error.getMessage(), error.hint());
        } catch (OutOfMemoryError error) {
            row.fail("There is not enough memory for this size.", "Choose a smaller size.");
        } catch (RuntimeException error) {  // another engine's: it may throw anything
            row.fail(error.getClass().getSimpleName() + ": " + error.getMessage(), null);
        }
    }

    /** A row that is ready to be measured. */
    private final class Loaded extends Step {
        final Row row;
        final Engine.Session session;

        Loaded(Row row, Engine.Session session, Plan plan) {
            this.row = row;
            this.session = session;
            session.setImage(FloatPixels.image(noise(plan.width * plan.height * 3), row.bundle.card.valueRange));
        }

        @Override
        void run(Row measured) {
            long processor = device.processorNanos(plan.threads);
            long wall = device.wallNanos();
            session.run();
            wall = device.wallNanos() - wall;
            processor = device.processorNanos(plan.threads) - processor;
            row.wall.add(wall * 1e-9);
            row.processor.add(Math.max(processor, 1) * 1e-9);
            row.memoryPeak = Math.max(row.memoryPeak, device.memoryBytes());
        }
    }

    /** The same 8-bit noise for all: the speed of most networks depends on the size alone. */
    private static byte[] noise(int count) {
        byte[] values = new byte[count];
        long state = 1;
        for (int i = 0; i < count; ++i) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            values[i] = (byte) (state >>> 56);
        }
        return values;
    }
}
