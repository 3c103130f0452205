package dev.sparsr.demo.screen;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.Test;

public class ScreenTest {
    /** Letters of one width; remembers how far to the right anything is drawn. */
    private static final class Ruler implements Painter {
        float right;
        final List<String> texts = new ArrayList<String>();

        private void reach(float x) {
            right = Math.max(right, x);
        }

        @Override
        public void fill(float x, float y, float width, float height, float radius, int colour) {
            reach(x + width);
        }

        @Override
        public void outline(float x, float y, float width, float height, float radius, int colour) {
            reach(x + width);
        }

        @Override
        public void line(float fromX, float fromY, float toX, float toY, float thickness, int colour) {
            reach(Math.max(fromX, toX));
        }

        @Override
        public void text(String text, float x, float baseline, Font font, int colour) {
            texts.add(text);
            reach(x + width(text, font));
        }

        @Override
        public float width(String text, Font font) {
            return text.length() * font.size * 0.55f;
        }

        @Override
        public void picture(Pixels pixels, float left, float top, float width, float height, float toX, float toY,
                float toWidth, float toHeight) {
            reach(toX + toWidth);
        }

        @Override
        public void clip(float x, float y, float width, float height) {}

        @Override
        public void unclip() {}
    }

    private static List<List<Page.Card>> screens() {
        UpscaleScreen upscale = new UpscaleScreen();
        upscale.bundles = new String[] {"a_network_with_a_name_that_is_longer_than_any_phone_is_wide", "short"};
        upscale.picture = "picture.jpg, 1x1";
        upscale.running = true;
        upscale.comparison = new Comparison(new Pixels(2, 2, new int[4]), new Pixels(4, 4, new int[16]));
        UpscaleScreen done = new UpscaleScreen();
        done.bundles = upscale.bundles;
        done.finished = true;
        done.error = "anerrorwithoutanyspacesinitwhichisforallthatnotallowedtoleavethescreenbecausesomebodymustreadit";
        BenchmarkScreen benchmark = new BenchmarkScreen();
        benchmark.bundles = upscale.bundles;
        benchmark.bundleChosen = new boolean[2];
        HistoryScreen history = new HistoryScreen();
        history.results.add(Arrays.asList("2026-01-02 10:15 UTC, 320x180, 1 thread", "a: 1 ms", "b: 2 ms"));
        BundlesScreen bundles = new BundlesScreen();
        bundles.problems.add("name: The bundle is damaged.");
        return Arrays.asList(new UpscaleScreen().cards(), upscale.cards(), done.cards(), benchmark.cards(),
                new HistoryScreen().cards(), history.cards(), bundles.cards());
    }

    @Test
    public void nothingLeavesTheScreenAndAllThatIsTouchedIsLargeEnough() {
        for (float width : new float[] {280, 320, 360, 412, 719, 720, 1000, 1600}) {
            for (List<Page.Card> cards : screens()) {
                Ruler ruler = new Ruler();
                Page page = new Page(0, cards, ruler, width);
                page.draw(Theme.LIGHT);
                assertTrue(width + ": " + ruler.right + " " + ruler.texts, ruler.right <= width + 0.01f);
                for (Element.Area area : page.areas()) {
                    assertTrue(area.label, area.x >= 0 && area.x + area.width <= width && area.y + area.height <= page.height());
                    assertFalse(area.label.isEmpty() && area.action != null);
                    if (area.action != null) assertTrue(area.label, area.height >= 48 && area.width >= 48);
                }
            }
        }
    }

    @Test
    public void aTouchFindsWhatItMeans() {
        UpscaleScreen screen = new UpscaleScreen();
        screen.bundles = new String[] {"one", "two"};
        Page page = new Page(0, screen.cards(), new Ruler(), 360);
        int found = 0;
        for (Element.Area area : page.areas()) {
            if (area.action == null) continue;
            assertSame(area, page.at(area.x + area.width / 2, area.y + area.height / 2));
            if (area.action.startsWith(UpscaleScreen.BUNDLE)) ++found;
        }
        assertEquals(2, found);
        assertNull(page.at(1, 1));
    }

    /** WCAG 2.1, 1.4.3: text against what is behind it. */
    @Test
    public void coloursCanBeReadBySharedContrast() {
        for (Theme theme : Theme.values()) {
            int[][] pairs = {
                {theme.text, theme.card}, {theme.text, theme.background}, {theme.quiet, theme.card}, {theme.accent, theme.card},
                {theme.error, theme.card}, {theme.onAccent, theme.accent}, {theme.text, theme.soft}, {theme.quiet, theme.background}
            };
            for (int[] pair : pairs) assertTrue(theme.name(), contrast(pair[0], pair[1]) >= 4.5);
        }
    }

    private static double contrast(int one, int other) {
        double high = Math.max(luminance(one), luminance(other));
        double low = Math.min(luminance(one), luminance(other));
        return (high + 0.05) / (low + 0.05);
    }

    private static double luminance(int colour) {
        double[] weights = {0.2126, 0.7152, 0.0722};
        double sum = 0;
        for (int c = 0; c < 3; ++c) {
            double value = (colour >> (16 - 8 * c) & 0xff) / 255.0;
            sum += weights[c] * (value <= 0.03928 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4));
        }
        return sum;
    }

    @Test
    public void aPinchKeepsItsPointAndThePictureFillsTheView() {
        Comparison comparison = new Comparison(new Pixels(2, 2, new int[4]), null);
        Random random = new Random(1);
        for (int i = 0; i < 1000; ++i) {
            float[] before = comparison.part();
            float x = random.nextFloat();
            float y = random.nextFloat();
            float factor = 0.5f + random.nextFloat();
            comparison.pinch(factor, x, y);
            float[] after = comparison.part();
            assertTrue(after[0] >= -1e-5 && after[1] >= -1e-5 && after[0] + after[2] <= 1 + 1e-5 && after[1] + after[3] <= 1 + 1e-5);
            boolean inside = after[0] > 1e-4 && after[1] > 1e-4 && after[0] + after[2] < 1 - 1e-4 && after[1] + after[3] < 1 - 1e-4;
            if (inside) assertEquals(before[0] + x * before[2], after[0] + x * after[2], 1e-4);
            comparison.move(random.nextFloat() - 0.5f, random.nextFloat() - 0.5f);
            comparison.moveDivider(random.nextFloat() - 0.5f);
            assertTrue(comparison.divider() >= 0 && comparison.divider() <= 1);
        }
        comparison.reset();
        assertArrayEquals(new float[] {0, 0, 1, 1}, comparison.part(), 1e-6f);
    }

    /** CIPA DC-008: which corner of the shown picture the first row and column of the stored one are. */
    @Test
    public void picturesAreTurnedAsExifSays() {
        Pixels stored = new Pixels(3, 2, new int[] {1, 2, 3, 4, 5, 6});
        int[][] shown = {
            {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
            {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4},
        };
        for (int orientation = 1; orientation <= 8; ++orientation) {
            Pixels turned = stored.turned(orientation);
            assertEquals(orientation >= 5 ? 2 : 3, turned.width);
            assertArrayEquals("orientation " + orientation, shown[orientation - 1], turned.values);
        }
        assertNotNull(stored.turned(9));
    }
}
