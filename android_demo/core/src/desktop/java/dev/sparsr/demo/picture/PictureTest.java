package dev.sparsr.demo.picture;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.Test;

/** The files are read back by the Java platform's own decoders. */
public class PictureTest {
    private static byte[][] noise(int width, int height) {
        Random random = new Random(1);
        byte[][] rows = new byte[height][3 * width];
        for (byte[] row : rows) random.nextBytes(row);
        return rows;
    }

    private static byte[][] gradient(int width, int height) {
        byte[][] rows = new byte[height][3 * width];
        for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
                rows[y][3 * x] = (byte) (255 * x / Math.max(1, width - 1));
                rows[y][3 * x + 1] = (byte) (255 * y / Math.max(1, height - 1));
                rows[y][3 * x + 2] = (byte) (128 + 100 * Math.sin(0.1 * (x + y)));
            }
        }
        return rows;
    }

    private static byte[] write(RowSink sink, ByteArrayOutputStream out, byte[][] rows) throws IOException {
        for (byte[] row : rows) sink.write(row);
        sink.finish();
        sink.close();
        return out.toByteArray();
    }

    private static byte[] png(byte[][] rows, byte[] exif) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        return write(new PngWriter(out, rows[0].length / 3, rows.length, exif), out, rows);
    }

    private static byte[] jpeg(byte[][] rows, int quality, byte[] exif) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        return write(new JpegWriter(out, rows[0].length / 3, rows.length, quality, exif), out, rows);
    }

    private static int largestDifference(byte[][] rows, byte[] file) throws IOException {
        BufferedImage image = ImageIO.read(new ByteArrayInputStream(file));
        assertNotNull(image);
        assertEquals(rows.length, image.getHeight());
        assertEquals(rows[0].length / 3, image.getWidth());
        int largest = 0;
        for (int y = 0; y < rows.length; ++y) {
            for (int x = 0; x < image.getWidth(); ++x) {
                for (int c = 0; c < 3; ++c) {
                    int value = image.getRGB(x, y) >> (16 - 8 * c) & 0xff;
                    largest = Math.max(largest, Math.abs(value - (rows[y][3 * x + c] & 0xff)));
                }
            }
        }
        return largest;
    }

    @Test
    public void pngIsExact() throws IOException {
        for (int[] size : new int[][] {{1, 1}, {7, 3}, {64, 65}, {300, 200}}) {
            assertEquals(0, largestDifference(noise(size[0], size[1]), png(noise(size[0], size[1]), null)));
        }
        assertEquals(0, largestDifference(gradient(31, 9), png(gradient(31, 9), exif('I'))));
    }

    @Test
    public void jpegIsNear() throws IOException {
        for (int[] size : new int[][] {{1, 1}, {7, 3}, {8, 8}, {9, 17}, {64, 65}, {300, 200}}) {
            byte[][] rows = gradient(size[0], size[1]);
            int largest = largestDifference(rows, jpeg(rows, 95, null));
            assertTrue(size[0] + "x" + size[1] + ": " + largest, largest <= (size[0] < 16 ? 30 : 12));
        }
    }

    /** Noise uses every code of the tables: a wrong one would spoil all that follows it. */
    @Test
    public void jpegOfNoiseIsNear() throws IOException {
        byte[][] rows = noise(160, 96);
        assertTrue(largestDifference(rows, jpeg(rows, 100, null)) <= 8);
        assertNotNull(ImageIO.read(new ByteArrayInputStream(jpeg(rows, 30, null))));
    }

    /** A TIFF structure with an orientation of 6, the picture's size, and a thumbnail of four bytes at its end. */
    static byte[] exif(char order) {
        ByteBuffer data = ByteBuffer.allocate(100).order(order == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        data.put((byte) order).put((byte) order).putShort((short) 42).putInt(8);
        data.putShort((short) 2);
        data.putShort((short) 0x0112).putShort((short) 3).putInt(1).putShort((short) 6).putShort((short) 0);
        data.putShort((short) 0x8769).putShort((short) 4).putInt(1).putInt(38);
        data.putInt(68);
        data.putShort((short) 2);
        data.putShort((short) 0xa002).putShort((short) 3).putInt(1).putShort((short) 40).putShort((short) 0);
        data.putShort((short) 0xa003).putShort((short) 4).putInt(1).putInt(30);
        data.putInt(0);
        data.putShort((short) 2);
        data.putShort((short) 0x0201).putShort((short) 4).putInt(1).putInt(96);
        data.putShort((short) 0x0202).putShort((short) 4).putInt(1).putInt(4);
        // The folder would go on with a link, which the thumbnail's bytes stand for here.
        data.putInt(96, 0x01020304);
        return data.array();
    }

    private static Exif read(byte[] file) {
        return Exif.read(new ByteArrayInputStream(file));
    }

    @Test
    public void exifIsKeptButForSizeAndThumbnail() throws IOException {
        for (char order : new char[] {'I', 'M'}) {
            byte[][] rows = gradient(16, 16);
            for (byte[] file : new byte[][] {jpeg(rows, 90, exif(order)), png(rows, exif(order))}) {
                Exif found = read(file);
                assertNotNull(found);
                assertEquals(6, found.orientation());
                ByteBuffer resized = ByteBuffer.wrap(found.resized(4000, 70000));
                resized.order(order == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
                assertEquals(96, resized.capacity());
                assertEquals(0, resized.getInt(34));
                assertEquals(4000, resized.getInt(48));
                assertEquals(70000, resized.getInt(60));
                assertEquals(6, resized.getShort(18));
            }
        }
    }

    @Test
    public void picturesWithoutExifHaveNone() throws IOException {
        assertNull(read(jpeg(gradient(8, 8), 90, null)));
        assertNull(read(png(gradient(8, 8), null)));
        assertNull(read(new byte[0]));
    }

    /** Whatever a file holds, reading its EXIF data ends, and never by an exception. */
    @Test
    public void damagedExifIsHarmless() throws IOException {
        Random random = new Random(2);
        for (byte[] whole : new byte[][] {jpeg(gradient(8, 8), 90, exif('I')), png(gradient(8, 8), exif('M'))}) {
            for (int i = 0; i < 3000; ++i) {
                byte[] file = Arrays.copyOf(whole, 1 + random.nextInt(whole.length));
                for (int k = 0; k < 3; ++k) file[random.nextInt(file.length)] = (byte) random.nextInt();
                Exif found = read(file);
                if (found == null) continue;
                found.orientation();
                found.resized(100, 100);
            }
        }
    }

    @Test
    public void anOverviewHasTheMeansOfSquares() {
        Overview overview = new Overview(5, 4, 2);  // squares of three pixels; what is left over is not shown
        byte[][] rows = new byte[4][15];
        for (int y = 0; y < 3; ++y) rows[y][0] = (byte) 90;
        for (byte[] row : rows) overview.write(row);
        assertEquals(1, overview.width);
        assertEquals(1, overview.height);
        assertArrayEquals(new int[] {0xff1e0000}, overview.pixels);
        Overview same = new Overview(5, 4, 5);
        for (byte[] row : rows) same.write(row);
        assertEquals(0xff5a0000, same.pixels[0]);
        assertEquals(20, same.pixels.length);
    }
}
