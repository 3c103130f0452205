package dev.sparsr.demo.picture;

import java.io.IOException;
import java.io.OutputStream;

/**
 * A baseline JPEG file (ITU-T T.81) of 8-bit RGB, row by row, in memory of eight rows: Android's own encoder wants the whole
 * picture. Colours are not subsampled.
 */
public final class JpegWriter implements RowSink {
    private static final int LARGEST_SIDE = 65535;
    private static final int BLOCK = 8;

    private final OutputStream out;
    private final int width;
    private final byte[][] rows;
    private final Component[] components;
    private int filled;
    private int bits;
    private int bitCount;

    /** Writes the header, with EXIF data (a TIFF structure) where it is not null. Sides are 65535 at most. */
    public JpegWriter(OutputStream out, int width, int height, int quality, byte[] exif) throws IOException {
        if (width > LARGEST_SIDE || height > LARGEST_SIDE) {
            throw new IOException("a JPEG picture has " + LARGEST_SIDE + " pixels a side at most");
        }
        this.out = out;
        this.width = width;
        rows = new byte[BLOCK][3 * width];
        int[] luminance = JpegTables.steps(JpegTables.LUMINANCE_STEPS, quality);
        int[] colour = JpegTables.steps(JpegTables.COLOUR_STEPS, quality);
        // Of the values red, green and blue: ITU-T T.871.
        components = new Component[] {
            new Component(luminance, JpegTables.LUMINANCE_DC, JpegTables.LUMINANCE_AC, 0.299f, 0.587f, 0.114f, -128),
            new Component(colour, JpegTables.COLOUR_DC, JpegTables.COLOUR_AC, -0.168736f, -0.331264f, 0.5f, 0),
            new Component(colour, JpegTables.COLOUR_DC, JpegTables.COLOUR_AC, 0.5f, -0.418688f, -0.081312f, 0)
        };
        writeHeader(height, luminance, colour, exif);
    }

    @Override
    public void write(byte[] row) throws IOException {
        System.arraycopy(row, 0, rows[filled++], 0, 3 * width);
        if (filled == BLOCK) encodeRows();
    }

    @Override
    public void finish() throws IOException {
        if (filled > 0) {
            for (int y = filled; y < BLOCK; ++y) System.arraycopy(rows[filled - 1], 0, rows[y], 0, 3 * width);
            encodeRows();
        }
        put(0x7f, 7);  // the last byte is filled with ones
        marker(0xd9);
        out.flush();
    }

    @Override
    public void close() throws IOException {
        out.close();
    }

    private void encodeRows() throws IOException {
        filled = 0;
        float[] block = new float[BLOCK * BLOCK];
        for (int left = 0; left < width; left += BLOCK) {
            for (Component component : components) {
                component.fill(block, rows, left, width);
                Dct.forward(block);
                encode(component, block);
            }
        }
    }

    private void encode(Component component, float[] block) throws IOException {
        int[] levels = new int[64];
        for (int i = 0; i < 64; ++i) {
            int at = JpegTables.ZIGZAG[i];
            levels[i] = Math.round(block[at] / component.steps[at]);
        }
        int difference = levels[0] - component.last;
        component.last = levels[0];
        value(component.dc, 0, difference);
        int zeros = 0;
        for (int i = 1; i < 64; ++i) {
            if (levels[i] == 0) {
                ++zeros;
                continue;
            }
            for (; zeros > 15; zeros -= 16) code(component.ac, 0xf0);
            value(component.ac, zeros, levels[i]);
            zeros = 0;
        }
        if (zeros > 0) code(component.ac, 0);
    }

    /** A run of zeros and a value: a code for its size, then its bits. */
    private void value(JpegTables.Codes codes, int zeros, int value) throws IOException {
        int size = 32 - Integer.numberOfLeadingZeros(Math.abs(value));
        code(codes, zeros << 4 | size);
        if (size > 0) put(value < 0 ? value - 1 : value, size);
    }

    private void code(JpegTables.Codes codes, int symbol) throws IOException {
        put(codes.code[symbol], codes.length[symbol]);
    }

    private void put(int value, int count) throws IOException {
        bits = bits << count | (value & (1 << count) - 1);
        for (bitCount += count; bitCount >= 8; bitCount -= 8) {
            int next = bits >> (bitCount - 8) & 0xff;
            out.write(next);
            if (next == 0xff) out.write(0);
        }
        bits &= (1 << bitCount) - 1;
    }

    private void writeHeader(int height, int[] luminance, int[] colour, byte[] exif) throws IOException {
        marker(0xd8);
        if (exif != null && exif.length < 65000) {
            segment(0xe1, exif.length + 6);
            out.write(new byte[] {'E', 'x', 'i', 'f', 0, 0});
            out.write(exif);
        }
        int[][] steps = {luminance, colour};
        for (int table = 0; table < 2; ++table) {
            segment(0xdb, 65);
            out.write(table);
            for (int at : JpegTables.ZIGZAG) out.write(steps[table][at]);
        }
        segment(0xc0, 15);
        out.write(new byte[] {8, (byte) (height >> 8), (byte) height, (byte) (width >> 8), (byte) width, 3});
        out.write(new byte[] {1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1});  // three components, not subsampled, by their steps
        huffman(0x00, JpegTables.LUMINANCE_DC);
        huffman(0x10, JpegTables.LUMINANCE_AC);
        huffman(0x01, JpegTables.COLOUR_DC);
        huffman(0x11, JpegTables.COLOUR_AC);
        segment(0xda, 10);
        out.write(new byte[] {3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0});
    }

    private void huffman(int name, JpegTables.Codes codes) throws IOException {
        segment(0xc4, 17 + codes.symbols.length);
        out.write(name);
        for (int count : codes.counts) out.write(count);
        for (int symbol : codes.symbols) out.write(symbol);
    }

    private void segment(int name, int length) throws IOException {
        marker(name);
        out.write(length + 2 >> 8);
        out.write(length + 2);
    }

    private void marker(int name) throws IOException {
        out.write(0xff);
        out.write(name);
    }

    /** One of luminance, blueness and redness. */
    private static final class Component {
        final int[] steps;
        final JpegTables.Codes dc;
        final JpegTables.Codes ac;
        private final float red;
        private final float green;
        private final float blue;
        private final float shift;
        int last;

        Component(int[] steps, JpegTables.Codes dc, JpegTables.Codes ac, float red, float green, float blue, float shift) {
            this.steps = steps;
            this.dc = dc;
            this.ac = ac;
            this.red = red;
            this.green = green;
            this.blue = blue;
            this.shift = shift;
        }

        void fill(float[] block, byte[][] rows, int left, int width) {
            for (int y = 0; y < BLOCK; ++y) {
                for (int x = 0; x < BLOCK; ++x) {
                    int at = 3 * Math.min(left + x, width - 1);
                    byte[] row = rows[y];
                    block[y * BLOCK + x] = red * (row[at] & 0xff) + green * (row[at + 1] & 0xff) + blue * (row[at + 2] & 0xff) + shift;
                }
            }
        }
    }
}
