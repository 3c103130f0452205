package dev.sparsr.demo.app;

import android.content.Context;
import dev.sparsr.Cores;
import dev.sparsr.demo.measure.Benchmark;
import dev.sparsr.demo.measure.Plan;
import dev.sparsr.demo.measure.Results;
import java.io.File;

/** A measurement, and its result. */
final class BenchmarkTask extends Task implements Benchmark.Progress {
    private final DemoApplication app;
    private final Plan plan;
    private volatile String step = "Starting";
    private volatile double share;
    /** Read once {@link #done}. */
    private volatile Results results;
    private volatile File file;

    BenchmarkTask(Context context, Plan plan) {
        app = DemoApplication.of(context);
        this.plan = plan;
    }

    @Override
    void compute() {
        try {
            Cores.use(PhoneCores.set(plan.cores));
            results = new Benchmark(plan, new PhoneDevice(app), this).run();
            file = app.history().add(results);
        } finally {
            Cores.use(PhoneCores.set("all"));
        }
    }

    @Override
    String memoryError() {
        return "There is not enough memory for this measurement.";
    }

    @Override
    String memoryHint() {
        return "Choose a smaller input.";
    }

    @Override
    String failure() {
        return "The measurement failed";
    }

    @Override
    public boolean at(String presentStep, double presentShare) {
        step = presentStep;
        share = presentShare;
        return !cancelled();
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
}
