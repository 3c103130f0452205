package dev.sparsr;

import java.io.Closeable;
import java.nio.ByteBuffer;

/**
 * A super-resolution network in SparSR's native engine. It takes images of any size and computes them row by row, so
 * that neither the image is squeezed to a size nor the feature maps ever lie in memory whole.
 *
 * <p>Runs of one model from several threads wait for each other. Every method throws {@link SparsrException} with a
 * sentence on what is wrong.
 */
public final class SparsrModel implements Closeable {
    /** Where the library lies, for programs that do not run on Android; else it is found by its name. */
    public static final String LIBRARY_PROPERTY = "dev.sparsr.library";

    private static String missing = loadLibrary();

    private long handle;
    private int running;

    private SparsrModel(long handle) {
        this.handle = handle;
    }

    private static String loadLibrary() {
        try {
            String path = System.getProperty(LIBRARY_PROPERTY);
            if (path == null) System.loadLibrary("sparsr");
            else System.load(path);
            return null;
        } catch (UnsatisfiedLinkError error) {
            return String.valueOf(error.getMessage());
        }
    }

    /** Why the engine cannot run on this device, or null if it can. */
    public static String unavailable() {
        return missing;
    }

    /**
     * Loads a model.
     *
     * @param model          the content of a bundle's model.safetensors, in a direct buffer, from its position to its limit;
     *                       not needed afterwards
     * @param instructionSet neon, fp16 (half precision), plain, ...; null for the best one
     * @param maxBytes       bound of a run's feature maps; 0 for the device's memory
     */
    public static SparsrModel load(ByteBuffer model, String instructionSet, long maxBytes) {
        if (missing != null) {
            throw new SparsrException(
                    "The native engine is not available on this device: " + missing,
                    "It is built for 64-bit ARM processors.");
        }
        return new SparsrModel(nativeLoad(direct(model), model.position(), model.remaining(), instructionSet, maxBytes));
    }

    /** Lets the model compute with so many threads, the caller's included. The result does not depend on their number. */
    public void setThreads(int threads) {
        long model = begin();
        try {
            nativeSetThreads(model, threads);
        } finally {
            end();
        }
    }

    /** How kernels are chosen: "measure", "estimate", or what {@link #describe} gave before. */
    public void setPlan(String plan) {
        long model = begin();
        try {
            nativeSetPlan(model, plan);
        } finally {
            end();
        }
    }

    /** Height and width of the result for an image, or an exception if the model cannot take it. */
    public int[] outputSize(int height, int width) {
        long model = begin();
        try {
            return nativeOutputSize(model, height, width);
        } finally {
            end();
        }
    }

    /** What the model is. */
    public Info info() {
        long model = begin();
        try {
            Info info = new Info();
            nativeInfo(model, info);
            return info;
        } finally {
            end();
        }
    }

    /** What the model does on images of the size last run, as JSON. */
    public String describe() {
        long model = begin();
        try {
            return nativeDescribe(model);
        } finally {
            end();
        }
    }

    /**
     * Runs the model on an 8-bit image.
     *
     * @param image    a direct buffer with values 0 to 255; the value of pixel (y, x) and channel c lies at its position +
     *                 y * rowStride + x * pixelStride + c
     * @param listener takes the rows of the result
     * @return whether it is complete: false if the listener ended it
     */
    public boolean run(ByteBuffer image, int height, int width, int rowStride, int pixelStride, RowListener listener) {
        if (height < 1 || width < 1 || rowStride < 0 || pixelStride < 1) {
            throw new SparsrException("The image has no pixels.");
        }
        long model = begin();
        try {
            return nativeRun(model, direct(image), image.position(), image.remaining(), height, width, rowStride,
                    pixelStride, listener);
        } finally {
            end();
        }
    }

    /**
     * Runs the model on values as they are: 0 to the model's value range, not rounded and not clipped.
     *
     * @param image  a direct buffer in native order with float values [height, width, channels]
     * @param result the same for the result, with room for it
     */
    public void runFloats(ByteBuffer image, int height, int width, ByteBuffer result) {
        long model = begin();
        try {
            nativeRunFloats(model, direct(image), image.capacity(), height, width, direct(result), result.capacity());
        } finally {
            end();
        }
    }

    /** Frees the model once no run uses it; it cannot be used afterwards. */
    @Override
    public synchronized void close() {
        while (running > 0) {
            try {
                wait();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                return;  // freeing what runs would be worse than keeping it
            }
        }
        long model = handle;
        handle = 0;
        if (model != 0) nativeFree(model);
    }

    private synchronized long begin() {
        if (handle == 0) throw new SparsrException("The model is closed.");
        ++running;
        return handle;
    }

    private synchronized void end() {
        --running;
        notifyAll();
    }

    private static ByteBuffer direct(ByteBuffer buffer) {
        if (!buffer.isDirect()) throw new SparsrException("The buffer is not a direct one.");
        return buffer;
    }

    /** What a model is and what it runs on. */
    public static final class Info {
        public int inputChannels;
        public int outputChannels;
        public int scale;
        /** Least height and width of an image. */
        public int minimumSize;
        public int threads;
        /** The largest value of a channel. */
        public float valueRange;
        public String instructionSet;
        /** Memory of the feature maps for the size last run. */
        public long bufferBytes;
    }

    private static native long nativeLoad(ByteBuffer model, int at, int size, String instructionSet, long maxBytes);

    private static native void nativeSetThreads(long model, int threads);

    private static native void nativeSetPlan(long model, String plan);

    private static native int[] nativeOutputSize(long model, int height, int width);

    private static native void nativeInfo(long model, Info info);

    private static native String nativeDescribe(long model);

    private static native boolean nativeRun(long model, ByteBuffer image, int at, int size, int height, int width,
            int rowStride, int pixelStride, RowListener listener);

    private static native void nativeRunFloats(long model, ByteBuffer image, int size, int height, int width,
            ByteBuffer result, int resultSize);

    private static native void nativeFree(long model);
}
