package dev.sparsr.demo.app;

import android.content.Context;
import dev.sparsr.Cores;
import dev.sparsr.SparsrException;
import dev.sparsr.demo.measure.Benchmark;
import dev.sparsr.demo.measure.Plan;
import dev.sparsr.demo.measure.Results;
import java.io.File;

/** A measurement, and its result. It goes on while the screen turns or another one is shown. */
final class BenchmarkTask implements Runnable, Benchmark.Progress {
    private final DemoApplication app;
    private final Plan plan;
    private volatile boolean cancelled;
    private volatile boolean done;
    private volatile String step = "Starting";
    private volatile double share;
    /** Read once {@link #done}. */
    private volatile Results results;
    private volatile File file;
    private volatile String error;
    private volatile String hint;

    BenchmarkTask(Context context, Plan plan) {
        app = DemoApplication.of(context);
        this.plan = plan;
    }

    @Override
    public void run() {
        try {
            Cores.use(PhoneCores.set(plan.cores));
            results = new Benchmark(plan, new PhoneDevice(app), this).run();
            file = app.history().add(results);
        } catch (SparsrException failed) {
            hint = failed.hint();
            error = failed.getMessage();
        } catch (OutOfMemoryError failed) {
            hint = "Choose a smaller input.";
            error = "There is not enough memory for this measurement.";
        } catch (RuntimeException failed) {
            error = "The measurement failed: " + failed + ".";
        } finally {
            Cores.use(PhoneCores.set("all"));
            done = true;
        }
    }

    @Override
    public boolean at(String presentStep, double presentShare) {
        step = presentStep;
        share = presentShare;
        return !cancelled;
    }

    void cancel() {
        cancelled = true;
    }

    boolean done() {
        return done;
    }

    String step() {
        return step;
    }

    double share() {
        return share;
    }

    Results results() {
        return results;
    }

    File file() {
        return file;
    }

    String error() {
        return error;
    }

    String hint() {
        return hint;
    }
}
