package dev.sparsr.demo.screen;

/** A picture in memory: 0xAARRGGBB, row by row. */
public final class Pixels {
    public final int width;
    public final int height;
    public final int[] values;
    /** What a painter has made of it, for its own use. */
    public Object cache;

    public Pixels(int width, int height, int[] values) {
        this.width = width;
        this.height = height;
        this.values = values;
    }

    /** Turned and mirrored for display as an EXIF orientation of 1 to 8 says. */
    public Pixels turned(int orientation) {
        if (orientation <= 1 || orientation > 8) return this;
        boolean transposed = orientation >= 5;
        int toWidth = transposed ? height : width;
        int toHeight = transposed ? width : height;
        int[] result = new int[values.length];
        for (int y = 0; y < toHeight; ++y) {
            for (int x = 0; x < toWidth; ++x) result[y * toWidth + x] = values[source(orientation, x, y)];
        }
        return new Pixels(toWidth, toHeight, result);
    }

    /** Where the value of the turned picture's pixel (x, y) is stored. */
    private int source(int orientation, int x, int y) {
        int right = width - 1;
        int bottom = height - 1;
        switch (orientation) {
            case 2: return y * width + right - x;
            case 3: return (bottom - y) * width + right - x;
            case 4: return (bottom - y) * width + x;
            case 5: return x * width + y;
            case 6: return (bottom - x) * width + y;
            case 7: return (bottom - x) * width + right - y;
            default: return x * width + right - y;
        }
    }
}
