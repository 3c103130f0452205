package dev.sparsr.demo.screen;

import dev.sparsr.demo.screen.Painter.Font;
import java.util.List;

/** Elements that show figures: bars and a curve. */
public final class Figures {
    private Figures() {}

    /** A bar of a chart. */
    public static final class Bar {
        final String name;
        final String value;
        final String note;
        final double length;
        final boolean strong;

        /** length: in any unit, the same for all bars; note: below the name. */
        public Bar(String name, String value, String note, double length, boolean strong) {
            this.name = name;
            this.value = value;
            this.note = note;
            this.length = length;
            this.strong = strong;
        }
    }

    /** Bars one below the other, as long as their figures. */
    public static Element bars(final List<Bar> bars) {
        return new Element() {
            private static final float NAME = 22;
            private static final float BAR = 18;

            private float height(Painter painter, Bar bar, float width) {
                int notes = bar.note.isEmpty() ? 0 : Elements.lines(painter, bar.note, Font.SMALL, width).size();
                return NAME + BAR + notes * Font.SMALL.leading() + 12;
            }

            @Override
            float height(Painter painter, float width) {
                float height = 0;
                for (Bar bar : bars) height += height(painter, bar, width);
                return height;
            }

            @Override
            void draw(Painter painter, Theme theme, float x, float y, float width) {
                double longest = 1e-12;
                for (Bar bar : bars) longest = Math.max(longest, bar.length);
                float top = y;
                for (Bar bar : bars) {
                    float value = painter.width(bar.value, Font.STRONG);
                    String name = Elements.fitted(painter, bar.name, Font.BODY, width - value - Elements.GAP);
                    painter.text(name, x, top + Font.BODY.size, Font.BODY, theme.text);
                    painter.text(bar.value, x + width - value, top + Font.STRONG.size, Font.STRONG, theme.text);
                    float length = (float) (bar.length / longest) * width;
                    painter.fill(x, top + NAME, width, BAR - 6, 3, theme.line);
                    painter.fill(x, top + NAME, Math.max(3, length), BAR - 6, 3, bar.strong ? theme.accent : theme.quiet);
                    float baseline = top + NAME + BAR + Font.SMALL.size;
                    if (!bar.note.isEmpty()) {
                        for (String line : Elements.lines(painter, bar.note, Font.SMALL, width)) {
                            painter.text(line, x, baseline, Font.SMALL, theme.quiet);
                            baseline += Font.SMALL.leading();
                        }
                    }
                    top += height(painter, bar, width);
                }
            }

            @Override
            void areas(Painter painter, float x, float y, float width, List<Area> areas) {
                float top = y;
                for (Bar bar : bars) {
                    float height = height(painter, bar, width);
                    areas.add(new Area(x, top, width, height, bar.name + ": " + bar.value + ". " + bar.note, null, false, null));
                    top += height;
                }
            }
        };
    }

    /** A curve from zero up, over time; labels at the largest value and at the end. */
    public static Element curve(final double[] at, final double[] values, final String largestLabel, final String endLabel) {
        return new Element() {
            private static final float HEIGHT = 150;
            private static final float BOTTOM = 20;

            @Override
            float height(Painter painter, float width) {
                return HEIGHT + BOTTOM;
            }

            @Override
            void draw(Painter painter, Theme theme, float x, float y, float width) {
                double largest = 1e-12;
                for (double value : values) largest = Math.max(largest, value);
                double end = Math.max(1e-12, at.length == 0 ? 0 : at[at.length - 1]);
                float zero = y + HEIGHT;
                painter.line(x, zero, x + width, zero, 1, theme.line);
                painter.line(x, y + 18, x + width, y + 18, 1, theme.line);
                painter.text(largestLabel, x, y + 12, Font.SMALL, theme.quiet);
                painter.text("0", x, zero + 15, Font.SMALL, theme.quiet);
                float label = painter.width(endLabel, Font.SMALL);
                painter.text(endLabel, x + width - label, zero + 15, Font.SMALL, theme.quiet);
                for (int i = 1; i < at.length; ++i) {
                    painter.line(x + (float) (at[i - 1] / end) * width, zero - (float) (values[i - 1] / largest) * (HEIGHT - 18),
                            x + (float) (at[i] / end) * width, zero - (float) (values[i] / largest) * (HEIGHT - 18), 2,
                            theme.accent);
                }
            }

            @Override
            void areas(Painter painter, float x, float y, float width, List<Area> areas) {
                String text = "Curve over " + endLabel + ", at most " + largestLabel;
                areas.add(new Area(x, y, width, HEIGHT + BOTTOM, text, null, false, null));
            }
        };
    }
}
