package dev.sparsr.demo.screen;

import dev.sparsr.demo.screen.Painter.Font;
import java.util.ArrayList;
import java.util.List;

/** The elements that screens are made of. */
public final class Elements {
    static final float GAP = 8;
    /** The least size of what is touched. */
    static final float TOUCH = 48;

    private Elements() {}

    /** How a text is meant. */
    public enum Tone { PLAIN, QUIET, ERROR }

    /** A paragraph. */
    public static Element text(String text, Font font, Tone tone) {
        return new Paragraph(text, font, tone);
    }

    /** A paragraph of body text. */
    public static Element text(String text) {
        return text(text, Font.BODY, Tone.PLAIN);
    }

    /** A paragraph of small, quiet text. */
    public static Element note(String text) {
        return text(text, Font.SMALL, Tone.QUIET);
    }

    /** What goes wrong, and what to do. */
    public static Element error(String message, String hint) {
        return text(hint == null || hint.isEmpty() ? message : message + "\n" + hint, Font.BODY, Tone.ERROR);
    }

    /** A heading. */
    public static Element heading(String text) {
        return text(text, Font.HEADING, Tone.PLAIN);
    }

    /** Lines of a text that fit a width; a word that does not fit alone is broken. */
    static List<String> lines(Painter painter, String text, Font font, float width) {
        List<String> lines = new ArrayList<String>();
        for (String paragraph : text.split("\n", -1)) {
            String line = "";
            for (String word : paragraph.split(" ", -1)) {
                String longer = line.isEmpty() ? word : line + " " + word;
                if (painter.width(longer, font) <= width) {
                    line = longer;
                    continue;
                }
                if (!line.isEmpty()) lines.add(line);
                line = word;
                while (painter.width(line, font) > width && line.length() > 1) {
                    int end = line.length() - 1;
                    while (end > 1 && painter.width(line.substring(0, end), font) > width) --end;
                    lines.add(line.substring(0, end));
                    line = line.substring(end);
                }
            }
            lines.add(line);
        }
        return lines;
    }

    /** A text that fits a width: what is too much goes from its middle, so that endings stay apart. */
    static String fitted(Painter painter, String text, Font font, float width) {
        String shorter = text;
        for (int kept = text.length() - 1; kept > 1 && painter.width(shorter, font) > width; --kept) {
            int end = kept / 2;
            shorter = text.substring(0, kept - end) + "\u2026" + text.substring(text.length() - end);
        }
        return shorter;
    }

    private static final class Paragraph extends Element {
        private final String text;
        private final Font font;
        private final Tone tone;

        Paragraph(String text, Font font, Tone tone) {
            this.text = text;
            this.font = font;
            this.tone = tone;
        }

        @Override
        float height(Painter painter, float width) {
            return lines(painter, text, font, width).size() * font.leading();
        }

        @Override
        void draw(Painter painter, Theme theme, float x, float y, float width) {
            int colour = tone == Tone.ERROR ? theme.error : tone == Tone.QUIET ? theme.quiet : theme.text;
            float baseline = y + font.size;
            for (String line : lines(painter, text, font, width)) {
                painter.text(line, x, baseline, font, colour);
                baseline += font.leading();
            }
        }

        @Override
        void areas(Painter painter, float x, float y, float width, List<Area> areas) {
            areas.add(new Area(x, y, width, height(painter, width), text, null, false, null));
        }
    }

    /** A button; one without an action is shown but cannot be touched. */
    public static Element button(final String label, final String action, final boolean primary) {
        return new Element() {
            @Override
            float height(Painter painter, float width) {
                return TOUCH;
            }

            @Override
            void draw(Painter painter, Theme theme, float x, float y, float width) {
                boolean filled = primary && action != null;
                if (filled) painter.fill(x, y + 2, width, TOUCH - 4, 12, theme.accent);
                else painter.outline(x, y + 2, width, TOUCH - 4, 12, action == null ? theme.line : theme.accent);
                int colour = action == null ? theme.quiet : filled ? theme.onAccent : theme.accent;
                Font font = painter.width(label, Font.STRONG) > width - 8 ? Font.SMALL : Font.STRONG;
                String shown = fitted(painter, label, font, width - 8);
                painter.text(shown, x + (width - painter.width(shown, font)) / 2, y + TOUCH / 2 + 5, font, colour);
            }

            @Override
            void areas(Painter painter, float x, float y, float width, List<Area> areas) {
                areas.add(new Area(x, y, width, TOUCH, label, action, false, null));
            }
        };
    }

    /** Elements side by side, of equal width. */
    public static Element row(final Element... elements) {
        return new Element() {
            private float part(float width) {
                return (width - GAP * (elements.length - 1)) / elements.length;
            }

            @Override
            float height(Painter painter, float width) {
                float height = 0;
                for (Element element : elements) height = Math.max(height, element.height(painter, part(width)));
                return height;
            }

            @Override
            void draw(Painter painter, Theme theme, float x, float y, float width) {
                for (int i = 0; i < elements.length; ++i) {
                    elements[i].draw(painter, theme, x + i * (part(width) + GAP), y, part(width));
                }
            }

            @Override
            void areas(Painter painter, float x, float y, float width, List<Area> areas) {
                for (int i = 0; i < elements.length; ++i) {
                    elements[i].areas(painter, x + i * (part(width) + GAP), y, part(width), areas);
                }
            }
        };
    }

    /** How far something is, 0 to 1. */
    public static Element progress(final String label, final double share) {
        return new Element() {
            @Override
            float height(Painter painter, float width) {
                return Font.SMALL.leading() + 12;
            }

            @Override
            void draw(Painter painter, Theme theme, float x, float y, float width) {
                float done = (float) Math.max(0, Math.min(1, share)) * width;
                painter.text(fitted(painter, label, Font.SMALL, width), x, y + Font.SMALL.size, Font.SMALL, theme.quiet);
                painter.fill(x, y + Font.SMALL.leading() + 4, width, 6, 3, theme.line);
                if (done >= 1) painter.fill(x, y + Font.SMALL.leading() + 4, Math.max(done, 6), 6, 3, theme.accent);
            }

            @Override
            void areas(Painter painter, float x, float y, float width, List<Area> areas) {
                String percent = Math.round(share * 100) + " %";
                areas.add(new Area(x, y, width, height(painter, width), label + ", " + percent, null, false, null));
            }
        };
    }

    /** A label and what is to be chosen: a touch on option i asks for action + i. */
    public static Element choice(String label, String action, String[] options, boolean[] selected) {
        return new Choice(label, action, options, selected);
    }

    /** A choice of one. */
    public static Element choice(String label, String action, String[] options, int selected) {
        boolean[] flags = new boolean[options.length];
        if (selected >= 0 && selected < flags.length) flags[selected] = true;
        return new Choice(label, action, options, flags);
    }

    private static final class Choice extends Element {
        private static final float CHIP = 36;
        private final String label;
        private final String action;
        private final String[] options;
        private final boolean[] selected;

        Choice(String label, String action, String[] options, boolean[] selected) {
            this.label = label;
            this.action = action;
            this.options = options;
            this.selected = selected;
        }

        /** Left edges, rows and widths of the options. */
        private float[][] places(Painter painter, float width) {
            float[][] places = new float[options.length][];
            float x = 0;
            int row = 0;
            for (int i = 0; i < options.length; ++i) {
                float chip = Math.min(width, Math.max(TOUCH, painter.width(options[i], Font.BODY) + 28));
                if (x > 0 && x + chip > width) {
                    x = 0;
                    ++row;
                }
                places[i] = new float[] {x, row, chip};
                x += chip + GAP;
            }
            return places;
        }

        private float top(int row) {
            return Font.SMALL.leading() + row * TOUCH + (TOUCH - CHIP) / 2;
        }

        @Override
        float height(Painter painter, float width) {
            float[][] places = places(painter, width);
            int rows = places.length == 0 ? 0 : (int) places[places.length - 1][1] + 1;
            return Font.SMALL.leading() + rows * TOUCH;
        }

        @Override
        void draw(Painter painter, Theme theme, float x, float y, float width) {
            painter.text(fitted(painter, label, Font.SMALL, width), x, y + Font.SMALL.size, Font.SMALL, theme.quiet);
            float[][] places = places(painter, width);
            for (int i = 0; i < options.length; ++i) {
                float left = x + places[i][0];
                float top = y + top((int) places[i][1]);
                if (selected[i]) painter.fill(left, top, places[i][2], CHIP, CHIP / 2, theme.soft);
                painter.outline(left, top, places[i][2], CHIP, CHIP / 2, selected[i] ? theme.accent : theme.line);
                String shown = fitted(painter, options[i], Font.BODY, places[i][2] - 16);
                float inside = left + (places[i][2] - painter.width(shown, Font.BODY)) / 2;
                painter.text(shown, inside, top + CHIP / 2 + 5, Font.BODY, theme.text);
            }
        }

        @Override
        void areas(Painter painter, float x, float y, float width, List<Area> areas) {
            float[][] places = places(painter, width);
            for (int i = 0; i < options.length; ++i) {
                float top = y + Font.SMALL.leading() + places[i][1] * TOUCH;
                areas.add(new Area(x + places[i][0], top, places[i][2], TOUCH, label + ": " + options[i], action + i,
                        selected[i], null));
            }
        }
    }

    /** Before and after, one over the other, with a divider that is dragged. */
    public static Element comparison(final Comparison comparison, final float share) {
        return new Element() {
            @Override
            float height(Painter painter, float width) {
                return Math.round(Math.min(width * share, 560));
            }

            @Override
            void draw(Painter painter, Theme theme, float x, float y, float width) {
                comparison.draw(painter, theme, x, y, width, height(painter, width));
            }

            @Override
            void areas(Painter painter, float x, float y, float width, List<Area> areas) {
                areas.add(new Area(x, y, width, height(painter, width), "The picture before and after. Drag the divider, pinch to zoom.",
                        null, false, comparison));
            }
        };
    }
}
