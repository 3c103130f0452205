package dev.sparsr.demo.screen;

import dev.sparsr.demo.DesktopDevice;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.engine.Engine;
import dev.sparsr.demo.engine.NativeEngine;
import dev.sparsr.demo.measure.Benchmark;
import dev.sparsr.demo.measure.Plan;
import dev.sparsr.demo.measure.Results;
import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;

/** OUT BEFORE AFTER BUNDLE...: PNG pictures of all screens, light and dark, at the widths of phones and tablets. */
public final class Render {
    private static final int[] WIDTHS = {360, 1000};
    private static final float DENSITY = 1.5f;

    private Render() {}

    public static void main(String[] arguments) throws Exception {
        List<Bundle> bundles = new ArrayList<Bundle>();
        for (int i = 3; i < arguments.length; ++i) bundles.add(Bundle.open(new File(arguments[i])));
        Plan plan = new Plan(bundles, Collections.<Engine>singletonList(new NativeEngine()), 64, 48, 1, 7, 3, "all");
        Results results = new Benchmark(plan, new DesktopDevice(), new Benchmark.Progress() {
            @Override
            public boolean at(String step, double share) {
                return true;
            }
        }).run();
        Pixels before = Samples.pixels(ImageIO.read(new File(arguments[1])));
        Pixels after = Samples.pixels(ImageIO.read(new File(arguments[2])));
        for (Map.Entry<String, Object[]> entry : Samples.all(bundles, results, before, after).entrySet()) {
            for (Theme theme : Theme.values()) {
                for (int width : WIDTHS) {
                    String name = entry.getKey() + "_" + theme.name().toLowerCase() + "_" + width + ".png";
                    write(new File(arguments[0], name), entry.getValue(), theme, width);
                }
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static void write(File file, Object[] screen, Theme theme, int width) throws Exception {
        List<Page.Card> cards = (List<Page.Card>) screen[1];
        float height = new Page((Integer) screen[0], cards, new DesktopPainter(1, 1, 1), width).height();
        DesktopPainter painter = new DesktopPainter(width, (int) Math.ceil(height), DENSITY);
        new Page((Integer) screen[0], cards, painter, width).draw(theme);
        ImageIO.write(painter.image, "png", file);
    }
}
