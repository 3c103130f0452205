package dev.sparsr.demo.app;

import android.content.ContentResolver;
import android.content.Context;
import android.database.Cursor;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.BitmapRegionDecoder;
import android.graphics.Rect;
import android.net.Uri;
import android.provider.OpenableColumns;
import dev.sparsr.SparsrException;
import dev.sparsr.demo.picture.Exif;
import dev.sparsr.demo.picture.Overview;
import dev.sparsr.demo.picture.Upscaling;
import dev.sparsr.demo.screen.Pixels;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;

/** A picture that the user chose. It is read in strips into a mapped file, so that it need not fit into the app's memory. */
final class PictureFile {
    private static final int STRIP = 256;
    private static final int LARGEST_SIDE = 1 << 16;
    private static final long LARGEST_BYTES = Integer.MAX_VALUE;
    private static final String HINT = "Choose another picture.";

    final Uri uri;
    final String name;
    /** As they are stored: an EXIF orientation turns the picture only where it is shown. */
    final int width;
    final int height;
    final Exif exif;
    private final Context context;

    /** Looks at a picture; throws a SparsrException where it cannot be read. */
    PictureFile(Context context, Uri uri) {
        this.context = context;
        this.uri = uri;
        name = nameOf(context.getContentResolver(), uri);
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        try {
            try (InputStream stream = open()) {
                BitmapFactory.decodeStream(stream, null, options);
            }
            try (InputStream stream = open()) {
                exif = Exif.read(stream);
            }
        } catch (IOException error) {
            throw unreadable(error);
        } catch (SecurityException error) {
            throw unreadable(error);
        }
        width = options.outWidth;
        height = options.outHeight;
        if (width < 1 || height < 1) throw new SparsrException(name + " is not a picture that this device can read.", HINT);
        if (width > LARGEST_SIDE || height > LARGEST_SIDE || 3L * width * height > LARGEST_BYTES) {
            throw new SparsrException("The picture has " + width + "x" + height + " pixels, which is too large.", HINT);
        }
    }

    int orientation() {
        return exif == null ? 1 : exif.orientation();
    }

    private InputStream open() throws IOException {
        InputStream stream = context.getContentResolver().openInputStream(uri);
        if (stream == null) throw new IOException("it cannot be opened");
        return stream;
    }

    private SparsrException unreadable(Exception error) {
        return new SparsrException(name + " cannot be read: " + error.getMessage() + ".", HINT, error);
    }

    private static String nameOf(ContentResolver resolver, Uri uri) {
        try (Cursor cursor = resolver.query(uri, new String[] {OpenableColumns.DISPLAY_NAME}, null, null, null)) {
            if (cursor != null && cursor.moveToFirst() && cursor.getString(0) != null) return cursor.getString(0);
        } catch (RuntimeException unknown) {  // another app's provider may throw anything
            return "picture";
        }
        return "picture";
    }

    /** Reads all of it for the engine; what it looks like goes into the overview. */
    Upscaling.Source read(Overview overview) {
        File file = new File(context.getCacheDir(), "picture.rgb");
        try (RandomAccessFile access = new RandomAccessFile(file, "rw")) {
            access.setLength(3L * width * height);
            MappedByteBuffer pixels = access.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, access.length());
            readStrips(pixels, overview);
            pixels.rewind();
            return new Upscaling.Source(width, height, pixels, 3, exif);
        } catch (IOException error) {
            throw unreadable(error);
        } finally {
            file.delete();  // its content stays as long as it is mapped
        }
    }

    private void readStrips(MappedByteBuffer pixels, Overview overview) throws IOException {
        int[] colours = new int[width * Math.min(STRIP, height)];
        byte[] row = new byte[3 * width];
        try (InputStream stream = open()) {
            BitmapRegionDecoder decoder = regions(stream);
            Bitmap whole = decoder == null ? decodeWhole() : null;
            for (int top = 0; top < height; top += STRIP) {
                int rows = Math.min(STRIP, height - top);
                if (whole == null) strip(decoder, top, rows).getPixels(colours, 0, width, 0, 0, width, rows);
                else whole.getPixels(colours, 0, width, 0, top, width, rows);
                for (int y = 0; y < rows; ++y) {
                    onWhite(colours, y * width, row);
                    pixels.put(row);
                    overview.write(row);
                }
            }
            if (decoder != null) decoder.recycle();
        }
    }

    @SuppressWarnings("deprecation")  // its successor came with Android 12
    private static BitmapRegionDecoder regions(InputStream stream) {
        try {
            return BitmapRegionDecoder.newInstance(stream, false);
        } catch (IOException other) {  // a format that cannot be read in parts
            return null;
        }
    }

    private Bitmap strip(BitmapRegionDecoder decoder, int top, int rows) throws IOException {
        Bitmap bitmap = decoder.decodeRegion(new Rect(0, top, width, top + rows), null);
        if (bitmap == null || bitmap.getWidth() != width || bitmap.getHeight() != rows) {
            throw new IOException("it is damaged from row " + top + " on");
        }
        return bitmap;
    }

    private Bitmap decodeWhole() throws IOException {
        try (InputStream stream = open()) {
            Bitmap bitmap = BitmapFactory.decodeStream(stream);
            if (bitmap == null || bitmap.getWidth() != width || bitmap.getHeight() != height) {
                throw new IOException("it is damaged");
            }
            return bitmap;
        }
    }

    /** Colours as 8-bit RGB; what is transparent shows white behind it. */
    private static void onWhite(int[] colours, int begin, byte[] row) {
        for (int x = 0; x < row.length / 3; ++x) {
            int colour = colours[begin + x];
            int alpha = colour >>> 24;
            for (int c = 0; c < 3; ++c) {
                int value = colour >> (16 - 8 * c) & 0xff;
                row[3 * x + c] = (byte) (alpha == 255 ? value : (value * alpha + 255 * (255 - alpha) + 127) / 255);
            }
        }
    }

    /** A part, given in shares of a picture, in full detail; null where the format cannot be read in parts. */
    static Pixels part(InputStream stream, float[] part) {
        BitmapRegionDecoder decoder = regions(stream);
        if (decoder == null) return null;
        int width = decoder.getWidth();
        int height = decoder.getHeight();
        Rect region = new Rect(Math.round(part[0] * width), Math.round(part[1] * height),
                Math.round((part[0] + part[2]) * width), Math.round((part[1] + part[3]) * height));
        if (!region.intersect(0, 0, width, height) || region.isEmpty()) return null;
        BitmapFactory.Options options = new BitmapFactory.Options();
        while (Math.max(region.width(), region.height()) / (options.inSampleSize == 0 ? 1 : options.inSampleSize) > 2048) {
            options.inSampleSize = options.inSampleSize == 0 ? 2 : 2 * options.inSampleSize;
        }
        Bitmap bitmap = decoder.decodeRegion(region, options);
        decoder.recycle();
        if (bitmap == null) return null;
        int[] values = new int[bitmap.getWidth() * bitmap.getHeight()];
        bitmap.getPixels(values, 0, bitmap.getWidth(), 0, 0, bitmap.getWidth(), bitmap.getHeight());
        return new Pixels(bitmap.getWidth(), bitmap.getHeight(), values);
    }
}
