package dev.sparsr.demo.screen;

import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.measure.Results;
import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Screens in the states a user meets, for pictures of them and for tests. */
final class Samples {
    private Samples() {}

    static Pixels pixels(BufferedImage image) {
        int width = image.getWidth();
        int height = image.getHeight();
        return new Pixels(width, height, image.getRGB(0, 0, width, height, null, 0, width));
    }

    /** By name: cards and the tab they belong to. */
    static Map<String, Object[]> all(List<Bundle> bundles, Results results, Pixels before, Pixels after) {
        Map<String, Object[]> screens = new LinkedHashMap<String, Object[]>();
        screens.put("upscale_empty", new Object[] {0, new UpscaleScreen().cards()});
        screens.put("upscale_running", new Object[] {0, upscale(before, after, true).cards()});
        screens.put("upscale_done", new Object[] {0, upscale(before, after, false).cards()});
        UpscaleScreen failed = upscale(before, after, false);
        failed.finished = false;
        failed.error = "There is not enough memory for a picture of this size.";
        failed.hint = "Close other apps, or choose a smaller picture.";
        screens.put("upscale_failed", new Object[] {0, failed.cards()});
        screens.put("benchmark_choices", new Object[] {1, benchmark(null).cards()});
        BenchmarkScreen measuring = benchmark(null);
        measuring.running = true;
        measuring.step = "Round 7 of 15";
        measuring.progress = 0.57;
        screens.put("benchmark_running", new Object[] {1, measuring.cards()});
        screens.put("benchmark_done", new Object[] {1, benchmark(results).cards()});
        screens.put("history", new Object[] {2, history().cards()});
        BundlesScreen store = new BundlesScreen();
        store.bundles = bundles;
        store.error = "The zip file has an entry that would leave its folder: \"../../card.json\".";
        store.hint = "Choose a zip file of one bundle folder made by sparsr export.";
        screens.put("bundles", new Object[] {3, store.cards()});
        return screens;
    }

    private static UpscaleScreen upscale(Pixels before, Pixels after, boolean running) {
        UpscaleScreen screen = new UpscaleScreen();
        screen.bundles = new String[] {"rfdn64_x4_sls_16", "rfdn64_x4"};
        screen.about = "RFDN x4, pruned by SLS: 3.1 billion multiply-adds for 1280x720";
        screen.picture = "IMG_20260112_101512.jpg, 4000x3000";
        screen.result = "16000x12000 pixels";
        screen.running = running;
        screen.finished = !running;
        screen.progress = 0.42;
        screen.time = running ? ", 1:12 of about 2:50" : " It took 2:48.";
        screen.comparison = new Comparison(before, after);
        return screen;
    }

    private static BenchmarkScreen benchmark(Results results) {
        BenchmarkScreen screen = new BenchmarkScreen();
        screen.bundles = new String[] {"rfdn64_x4_sls_16", "rfdn64_x4"};
        screen.bundleChosen = new boolean[] {true, true};
        screen.engines = new String[] {"native", "ort", "litert"};
        screen.engineChosen = new boolean[] {true, false, false};
        screen.size = 1;
        screen.threadCounts = new int[] {1, 2, 4, 8};
        screen.results = results;
        return screen;
    }

    private static HistoryScreen history() {
        HistoryScreen screen = new HistoryScreen();
        screen.results = new ArrayList<List<String>>();
        for (int day = 12; day > 9; --day) {
            screen.results.add(Arrays.asList("2026-01-" + day + " 10:15 UTC, 320x180, 1 thread",
                    "rfdn64_x4_sls_16, native: 41.2 ms (5.1x)", "rfdn64_x4, native: 210 ms"));
        }
        return screen;
    }
}
