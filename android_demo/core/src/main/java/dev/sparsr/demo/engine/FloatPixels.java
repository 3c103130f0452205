package dev.sparsr.demo.engine;

import dev.sparsr.SparsrException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** Images as engines take them: direct buffers of floats. */
public final class FloatPixels {
    private FloatPixels() {}

    /** Room for so many floats. */
    public static ByteBuffer room(long count) {
        if (count > Integer.MAX_VALUE / 4) {
            throw new SparsrException("The result is too large to be measured.", "Choose a smaller size.");
        }
        return ByteBuffer.allocateDirect((int) count * 4).order(ByteOrder.nativeOrder());
    }

    /** 8-bit values as floats up to a range. */
    public static ByteBuffer image(byte[] values, double valueRange) {
        ByteBuffer buffer = room(values.length);
        FloatBuffer floats = buffer.asFloatBuffer();
        float step = (float) (valueRange / 255);
        for (int i = 0; i < values.length; ++i) floats.put(i, (values[i] & 0xff) * step);
        return buffer;
    }

    /** From pixel by pixel to channel by channel, or back. */
    public static void turn(FloatBuffer from, FloatBuffer to, int pixels, int channels, boolean toChannels) {
        for (int pixel = 0; pixel < pixels; ++pixel) {
            for (int channel = 0; channel < channels; ++channel) {
                int mixed = pixel * channels + channel;
                int apart = channel * pixels + pixel;
                if (toChannels) to.put(apart, from.get(mixed));
                else to.put(mixed, from.get(apart));
            }
        }
    }
}
