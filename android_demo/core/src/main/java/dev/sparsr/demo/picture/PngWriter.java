package dev.sparsr.demo.picture;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** A PNG file (ISO/IEC 15948) of 8-bit RGB, row by row, in memory of a few rows. */
public final class PngWriter implements RowSink {
    private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    private static final int RGB = 2;
    private static final int UP = 2;  // the filter that subtracts the row above

    private final OutputStream out;
    private final Deflater deflater = new Deflater(Deflater.BEST_SPEED);
    private final byte[] packed = new byte[1 << 16];
    private final byte[] filtered;
    private final byte[] above;

    /** Writes the header, with EXIF data (a TIFF structure) where it is not null. */
    public PngWriter(OutputStream out, int width, int height, byte[] exif) throws IOException {
        this.out = out;
        filtered = new byte[1 + 3 * width];
        above = new byte[3 * width];
        filtered[0] = UP;
        out.write(SIGNATURE);
        byte[] header = new byte[13];
        put(header, 0, width);
        put(header, 4, height);
        header[8] = 8;
        header[9] = RGB;
        chunk("IHDR", header, header.length);
        if (exif != null) chunk("eXIf", exif, exif.length);
    }

    @Override
    public void write(byte[] row) throws IOException {
        for (int i = 0; i < above.length; ++i) filtered[i + 1] = (byte) (row[i] - above[i]);
        System.arraycopy(row, 0, above, 0, above.length);
        deflater.setInput(filtered);
        while (!deflater.needsInput()) emit();
    }

    @Override
    public void finish() throws IOException {
        deflater.finish();
        while (!deflater.finished()) emit();
        chunk("IEND", packed, 0);
        out.flush();
    }

    @Override
    public void close() throws IOException {
        deflater.end();
        out.close();
    }

    private void emit() throws IOException {
        int count = deflater.deflate(packed);
        if (count > 0) chunk("IDAT", packed, count);
    }

    private void chunk(String type, byte[] data, int length) throws IOException {
        byte[] number = new byte[4];
        byte[] name = type.getBytes(StandardCharsets.US_ASCII);
        CRC32 sum = new CRC32();
        sum.update(name);
        sum.update(data, 0, length);
        put(number, 0, length);
        out.write(number);
        out.write(name);
        out.write(data, 0, length);
        put(number, 0, (int) sum.getValue());
        out.write(number);
    }

    private static void put(byte[] to, int at, int value) {
        for (int i = 0; i < 4; ++i) to[at + i] = (byte) (value >>> (24 - 8 * i));
    }
}
