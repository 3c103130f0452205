package dev.sparsr.demo.app;

import android.view.WindowManager;
import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.engine.Engine;
import dev.sparsr.demo.engine.Engines;
import dev.sparsr.demo.measure.Plan;
import dev.sparsr.demo.screen.BenchmarkScreen;
import dev.sparsr.demo.screen.Page;
import java.util.ArrayList;
import java.util.List;

/** Measures bundles. */
public final class BenchmarkActivity extends ScreenActivity {
    private static final int ROUNDS = 15;
    /** Seldom: what is drawn while something is measured is measured too. */
    private static final int REFRESH_MILLISECONDS = 3000;

    private final BenchmarkScreen screen = new BenchmarkScreen();
    private List<Bundle> bundles = new ArrayList<Bundle>();
    private List<Engine> engines = new ArrayList<Engine>();

    @Override
    int tab() {
        return 1;
    }

    @Override
    protected void onCreate(android.os.Bundle state) {
        super.onCreate(state);
        int all = PhoneCores.set("all").length;
        List<Integer> counts = new ArrayList<Integer>();
        for (int count = 1; count <= all; count *= 2) counts.add(count);
        screen.threadCounts = new int[counts.size()];
        for (int i = 0; i < counts.size(); ++i) screen.threadCounts[i] = counts.get(i);
        if (state == null) return;
        screen.size = state.getInt("size");
        screen.threads = state.getInt("threads");
        screen.cores = state.getInt("cores");
        screen.sustained = state.getInt("sustained");
        if (state.getBoolean("running") && app().benchmark == null) {
            screen.error = "The system closed the app before the measurement was finished.";
            screen.hint = "Measure again, and keep the app open.";
        }
    }

    @Override
    protected void onSaveInstanceState(android.os.Bundle state) {
        super.onSaveInstanceState(state);
        state.putInt("size", screen.size);
        state.putInt("threads", screen.threads);
        state.putInt("cores", screen.cores);
        state.putInt("sustained", screen.sustained);
        state.putBoolean("running", app().benchmark != null && !app().benchmark.done());
    }

    @Override
    protected void onResume() {
        super.onResume();
        follow();
    }

    @Override
    protected void onPause() {
        super.onPause();
        handler.removeCallbacksAndMessages(null);
    }

    private void follow() {
        BenchmarkTask task = app().benchmark;
        refresh();
        boolean running = task != null && !task.done();
        if (running) getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        else getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        if (!running) return;
        handler.postDelayed(new Runnable() {
            @Override
            public void run() {
                follow();
            }
        }, REFRESH_MILLISECONDS);
    }

    @Override
    List<Page.Card> cards() {
        List<Bundle> found = app().bundles().list();
        if (found.size() != bundles.size()) screen.bundleChosen = chosen(found.size(), Math.min(2, found.size()));
        bundles = found;
        screen.bundles = new String[bundles.size()];
        for (int i = 0; i < screen.bundles.length; ++i) screen.bundles[i] = bundles.get(i).id();
        List<Engine> available = Engines.available();
        if (available.size() != engines.size()) screen.engineChosen = chosen(available.size(), 1);
        engines = available;
        screen.engines = new String[engines.size()];
        for (int i = 0; i < screen.engines.length; ++i) screen.engines[i] = engines.get(i).name();
        BenchmarkTask task = app().benchmark;
        screen.running = task != null && !task.done();
        if (task != null) {
            screen.step = task.step();
            screen.progress = task.share();
            screen.results = task.results();
            if (task.error() != null) {
                screen.error = task.error();
                screen.hint = task.hint();
            }
        }
        return screen.cards();
    }

    private static boolean[] chosen(int count, int first) {
        boolean[] flags = new boolean[count];
        for (int i = 0; i < first && i < count; ++i) flags[i] = true;
        return flags;
    }

    @Override
    void perform(String action) {
        if (action.startsWith(BenchmarkScreen.BUNDLE)) turn(screen.bundleChosen, number(action, BenchmarkScreen.BUNDLE));
        else if (action.startsWith(BenchmarkScreen.ENGINE)) turn(screen.engineChosen, number(action, BenchmarkScreen.ENGINE));
        else if (action.startsWith(BenchmarkScreen.SIZE)) screen.size = number(action, BenchmarkScreen.SIZE);
        else if (action.startsWith(BenchmarkScreen.THREADS)) screen.threads = number(action, BenchmarkScreen.THREADS);
        else if (action.startsWith(BenchmarkScreen.CORES)) screen.cores = number(action, BenchmarkScreen.CORES);
        else if (action.startsWith(BenchmarkScreen.SUSTAINED)) screen.sustained = number(action, BenchmarkScreen.SUSTAINED);
        else if (action.equals(BenchmarkScreen.START)) start();
        else if (action.equals(BenchmarkScreen.CANCEL)) app().benchmark.cancel();
        else if (action.equals(BenchmarkScreen.SHARE)) share(app().benchmark.file(), "application/json");
    }

    private static void turn(boolean[] flags, int index) {
        if (index < flags.length) flags[index] = !flags[index];
    }

    private void start() {
        screen.error = null;
        try {
            int[] size = BenchmarkScreen.SIZES[screen.size];
            Plan plan = new Plan(kept(bundles, screen.bundleChosen), kept(engines, screen.engineChosen), size[0], size[1],
                    screen.threadCounts[screen.threads], ROUNDS, BenchmarkScreen.SUSTAINED_SECONDS[screen.sustained],
                    BenchmarkScreen.CORE_SETS[screen.cores]);
            app().benchmark = new BenchmarkTask(this, plan);
            app().run(app().benchmark);
            handler.removeCallbacksAndMessages(null);
            follow();
        } catch (SparsrException error) {
            screen.error = error.getMessage();
            screen.hint = error.hint();
        }
    }

    private static <T> List<T> kept(List<T> all, boolean[] flags) {
        List<T> kept = new ArrayList<T>();
        for (int i = 0; i < all.size() && i < flags.length; ++i) {
            if (flags[i]) kept.add(all.get(i));
        }
        return kept;
    }
}
