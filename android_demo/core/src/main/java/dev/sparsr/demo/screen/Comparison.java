package dev.sparsr.demo.screen;

import dev.sparsr.demo.screen.Painter.Font;

/**
 * A picture before and after, one over the other: left of the divider before, right of it after. Zoomed and moved together.
 * Points are in the coordinates of its own rectangle, divided by its width and height.
 */
public final class Comparison {
    private static final float MOST_ZOOM = 64;

    private final Pixels before;
    private Pixels after;
    private float divider = 0.5f;
    private float zoom = 1;
    private float centreX = 0.5f;
    private float centreY = 0.5f;
    // A part of the picture before and after in full, where the overviews are too coarse.
    private Pixels sharpBefore;
    private Pixels sharpAfter;
    private float[] sharpPart;

    public Comparison(Pixels before, Pixels after) {
        this.before = before;
        this.after = after;
    }

    /** The result as far as it is. */
    public void setAfter(Pixels pixels) {
        after = pixels;
    }

    public float zoom() {
        return zoom;
    }

    public float divider() {
        return divider;
    }

    /** Moves the divider by a share of the width. */
    public void moveDivider(float by) {
        divider = Math.max(0, Math.min(1, divider + by));
    }

    /** Whether a drag that begins there moves the divider rather than the picture. */
    public boolean grabsDivider(float x) {
        return zoom <= 1 || Math.abs(x - divider) < 0.08f;
    }

    /** Moves the picture by a share of what is seen. */
    public void move(float byX, float byY) {
        centreX -= byX / zoom;
        centreY -= byY / zoom;
        bound();
    }

    /** Zooms by a factor around a point, which stays where it is. */
    public void pinch(float factor, float x, float y) {
        float wanted = Math.max(1, Math.min(MOST_ZOOM, zoom * factor));
        centreX += (x - 0.5f) * (1 / zoom - 1 / wanted);
        centreY += (y - 0.5f) * (1 / zoom - 1 / wanted);
        zoom = wanted;
        bound();
    }

    /** Back to the whole picture. */
    public void reset() {
        zoom = 1;
        bound();
    }

    private void bound() {
        float half = 0.5f / zoom;
        centreX = Math.max(half, Math.min(1 - half, centreX));
        centreY = Math.max(half, Math.min(1 - half, centreY));
    }

    /** Left, top, width and height of what is seen, as shares of the picture. */
    public float[] part() {
        return new float[] {centreX - 0.5f / zoom, centreY - 0.5f / zoom, 1 / zoom, 1 / zoom};
    }

    /** What is seen in full detail: pixels of exactly that part. Shown until the part changes. */
    public void sharpen(float[] part, Pixels partBefore, Pixels partAfter) {
        sharpPart = part.clone();
        sharpBefore = partBefore;
        sharpAfter = partAfter;
    }

    private boolean isSharp(float[] part) {
        return sharpPart != null && java.util.Arrays.equals(sharpPart, part);
    }

    void draw(Painter painter, Theme theme, float x, float y, float width, float height) {
        painter.clip(x, y, width, height);
        painter.fill(x, y, width, height, 0, theme.line);
        // The picture fills the rectangle as far as its shape lets it.
        float fit = Math.min(width / before.width, height / before.height);
        float shownWidth = before.width * fit;
        float shownHeight = before.height * fit;
        float left = x + (width - shownWidth) / 2;
        float top = y + (height - shownHeight) / 2;
        float[] part = part();
        boolean sharp = isSharp(part);
        float edge = left + divider * shownWidth;
        side(painter, sharp ? sharpBefore : before, sharp, part, left, top, shownWidth, shownHeight);
        if (after != null) {
            painter.clip(edge, y, Math.max(0, x + width - edge), height);
            painter.fill(edge, top, left + shownWidth - edge, shownHeight, 0, theme.card);
            side(painter, sharp ? sharpAfter : after, sharp, part, left, top, shownWidth, shownHeight);
            painter.unclip();
            painter.line(edge, top, edge, top + shownHeight, 2, 0xffffffff);
            painter.fill(edge - 14, top + shownHeight / 2 - 14, 28, 28, 14, 0xffffffff);
            painter.text("\u2194", edge - painter.width("\u2194", Font.BODY) / 2, top + shownHeight / 2 + 5, Font.BODY, 0xff18211f);
        }
        label(painter, "before", left + 8, top + 8);
        if (after != null) label(painter, "after", left + shownWidth - 8 - painter.width("after", Font.SMALL) - 12, top + 8);
        painter.unclip();
    }

    private static void side(Painter painter, Pixels pixels, boolean whole, float[] part, float x, float y, float width,
            float height) {
        if (whole) painter.picture(pixels, 0, 0, pixels.width, pixels.height, x, y, width, height);
        else painter.picture(pixels, part[0] * pixels.width, part[1] * pixels.height, part[2] * pixels.width,
                part[3] * pixels.height, x, y, width, height);
    }

    private static void label(Painter painter, String text, float x, float y) {
        painter.fill(x, y, painter.width(text, Font.SMALL) + 12, 22, 11, 0xaa000000);
        painter.text(text, x + 6, y + 15, Font.SMALL, 0xffffffff);
    }
}
