package dev.sparsr.demo.screen;

/**
 * What the app's screens are drawn with: Android's canvas on a phone, Java 2D where the screens are tested. Lengths are in
 * density-independent pixels, colours 0xAARRGGBB, text stands on its baseline.
 */
public interface Painter {
    /** A rectangle whose corners are rounded by a radius. */
    void fill(float x, float y, float width, float height, float radius, int colour);

    /** Its outline, one unit wide, inside of it. */
    void outline(float x, float y, float width, float height, float radius, int colour);

    void line(float fromX, float fromY, float toX, float toY, float thickness, int colour);

    void text(String text, float x, float baseline, Font font, int colour);

    float width(String text, Font font);

    /** A part of a picture, in its pixels, into a rectangle. */
    void picture(Pixels pixels, float left, float top, float width, float height, float toX, float toY, float toWidth,
            float toHeight);

    /** Keeps what is drawn until {@link #unclip} inside of a rectangle. */
    void clip(float x, float y, float width, float height);

    void unclip();

    /** The sizes of text. */
    enum Font {
        TITLE(24, true),
        HEADING(17, true),
        BODY(15, false),
        STRONG(15, true),
        SMALL(13, false);

        public final float size;
        public final boolean bold;

        Font(float size, boolean bold) {
            this.size = size;
            this.bold = bold;
        }

        /** From one baseline to the next. */
        float leading() {
            return size * 1.4f;
        }
    }
}
