package dev.sparsr.demo.screen;

import java.util.List;

/** A part of a screen. It is as wide as it is told and says how high it then is. */
public abstract class Element {
    /** The height for a width. */
    abstract float height(Painter painter, float width);

    /** Draws it with its upper left corner at (x, y). */
    abstract void draw(Painter painter, Theme theme, float x, float y, float width);

    /** Adds what can be touched in it, and what a screen reader reads. */
    abstract void areas(Painter painter, float x, float y, float width, List<Area> areas);

    /** A place of a page that can be touched, or is read to who cannot see it. */
    public static final class Area {
        public final float x;
        public final float y;
        public final float width;
        public final float height;
        /** What a screen reader says. */
        public final String label;
        /** What happens on a touch, or null. */
        public final String action;
        /** Whether it is the chosen one of several. */
        public final boolean selected;
        /** What takes drags and pinches here, or null. */
        public final Comparison comparison;

        Area(float x, float y, float width, float height, String label, String action, boolean selected,
                Comparison comparison) {
            this.x = x;
            this.y = y;
            this.width = width;
            this.height = height;
            this.label = label;
            this.action = action;
            this.selected = selected;
            this.comparison = comparison;
        }

        /** Whether a point lies in it. */
        public boolean holds(float px, float py) {
            return px >= x && px < x + width && py >= y && py < y + height;
        }
    }
}
