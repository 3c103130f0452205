package dev.sparsr.demo.picture;

/** A small copy of a picture, made from its rows as they come: means of squares of pixels. */
public final class Overview {
    public final int width;
    public final int height;
    /** 0xAARRGGBB, row by row; rows that have not come yet are transparent. */
    public final int[] pixels;
    /** Pixels of the picture for one of the overview, along each side. */
    public final int step;

    private final int fullWidth;
    private final long[] sums;
    private int rows;
    private int y;

    /** Of a picture of that size, with neither side above the largest. */
    public Overview(int fullWidth, int fullHeight, int largest) {
        this.fullWidth = fullWidth;
        step = Math.max(1, (Math.max(fullWidth, fullHeight) + largest - 1) / largest);
        width = Math.max(1, fullWidth / step);
        height = Math.max(1, fullHeight / step);
        pixels = new int[width * height];
        sums = new long[3 * width];
    }

    /** The next row, 8-bit RGB. */
    public void write(byte[] row) {
        if (y >= height) return;
        int columns = Math.min(fullWidth, width * step);
        for (int x = 0; x < columns; ++x) {
            int to = 3 * (x / step);
            for (int c = 0; c < 3; ++c) sums[to + c] += row[3 * x + c] & 0xff;
        }
        if (++rows < step) return;
        long area = (long) step * Math.min(step, fullWidth);
        for (int x = 0; x < width; ++x) {
            int colour = 0xff;
            for (int c = 0; c < 3; ++c) {
                colour = colour << 8 | (int) ((sums[3 * x + c] + area / 2) / area);
                sums[3 * x + c] = 0;
            }
            pixels[y * width + x] = colour;
        }
        rows = 0;
        ++y;
    }
}
