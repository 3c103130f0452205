package dev.sparsr.demo.picture;

import dev.sparsr.RowListener;
import dev.sparsr.SparsrException;
import dev.sparsr.SparsrModel;
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * One picture on its way through a network: the engine's rows into a file as they come. The file has another name until
 * it is whole. Runs on a thread of the caller's; progress and cancel come from any.
 */
public final class Upscaling {
    /** How the result is stored. */
    public enum Format { JPEG, PNG }

    public static final int OVERVIEW_SIDE = 2048;
    private static final int QUALITY = 95;
    private static final int LARGEST_JPEG_SIDE = 65535;

    private final SparsrModel model;
    private final Source source;
    private final File file;
    private volatile boolean cancelled;
    private volatile int rowsDone;
    private volatile int rowsAll;
    private volatile Overview overview;

    /** A picture in memory. */
    public static final class Source {
        public final int width;
        public final int height;
        /** Direct: 8-bit values, red, green, blue first in each pixel. */
        final ByteBuffer pixels;
        final int pixelStride;
        final Exif exif;

        public Source(int width, int height, ByteBuffer pixels, int pixelStride, Exif exif) {
            this.width = width;
            this.height = height;
            this.pixels = pixels;
            this.pixelStride = pixelStride;
            this.exif = exif;
        }
    }

    public Upscaling(SparsrModel model, Source source, File file) {
        this.model = model;
        this.source = source;
        this.file = file;
    }

    /** Ends the run at the next row; its file goes. */
    public void cancel() {
        cancelled = true;
    }

    /** 0 to 1. */
    public double progress() {
        int all = rowsAll;
        return all == 0 ? 0 : (double) rowsDone / all;
    }

    /** The result so far, small; null before the run. */
    public Overview overview() {
        return overview;
    }

    /** The file's format for a result of that size: JPEG as long as it can be that large. */
    public static Format fitting(Format wanted, int width, int height) {
        return Math.max(width, height) > LARGEST_JPEG_SIDE ? Format.PNG : wanted;
    }

    /** Computes the whole picture. Returns false if it was cancelled; throws a SparsrException if it cannot be done. */
    public boolean run(Format format) {
        File part = new File(file.getPath() + ".part");
        try {
            if (!write(part, format)) return false;
            if (!part.renameTo(file)) throw new IOException("it cannot be renamed");
            return true;
        } catch (IOException error) {
            throw new SparsrException("The result cannot be written: " + error.getMessage() + ".", "Is there room on the device?", error);
        } catch (OutOfMemoryError error) {
            throw new SparsrException("There is not enough memory for a picture of this size.",
                    "Close other apps, or choose a smaller picture.", error);
        } finally {
            part.delete();
        }
    }

    private boolean write(File part, Format format) throws IOException {
        SparsrModel.Info info = model.info();
        if (info.inputChannels != 3 || info.outputChannels != 3) {
            throw new SparsrException("This network takes pictures with " + info.inputChannels + " channels, not with colours.",
                    "Choose another bundle.");
        }
        int[] size = model.outputSize(source.height, source.width);
        rowsAll = size[0];
        overview = new Overview(size[1], size[0], OVERVIEW_SIDE);
        try (FileOutputStream stream = new FileOutputStream(part);
                RowSink sink = sink(new BufferedOutputStream(stream, 1 << 16), format, size[1], size[0])) {
            if (!compute(sink)) return false;
            sink.finish();
            stream.getFD().sync();
        }
        return true;
    }

    private boolean compute(final RowSink sink) throws IOException {
        final IOException[] failure = new IOException[1];
        boolean complete = model.run(source.pixels, source.height, source.width, source.width * source.pixelStride,
                source.pixelStride, new RowListener() {
                    @Override
                    public boolean onRow(int y, byte[] row) {
                        try {
                            sink.write(row);
                            overview.write(row);
                            rowsDone = y + 1;
                            return !cancelled;
                        } catch (IOException error) {
                            failure[0] = error;
                            return false;
                        }
                    }
                });
        if (failure[0] != null) throw failure[0];
        return complete && !cancelled;
    }

    private RowSink sink(BufferedOutputStream out, Format format, int width, int height) throws IOException {
        byte[] exif = source.exif == null ? null : source.exif.resized(width, height);
        return fitting(format, width, height) == Format.JPEG ? new JpegWriter(out, width, height, QUALITY, exif)
                : new PngWriter(out, width, height, exif);
    }
}
