package dev.sparsr.demo.engine;

import dev.sparsr.SparsrModel;
import dev.sparsr.demo.bundle.Bundle;
import java.nio.ByteBuffer;

/** SparSR's own engine. */
public final class NativeEngine implements Engine {
    private final String instructionSet;

    /** In single precision. */
    public NativeEngine() {
        this(null);
    }

    /** With an instruction set of SparsrModel's. */
    public NativeEngine(String instructionSet) {
        this.instructionSet = instructionSet;
    }

    @Override
    public String name() {
        return "fp16".equals(instructionSet) ? "native-fp16" : "native";
    }

    @Override
    public String format() {
        return "native";
    }

    @Override
    public String version() {
        return null;
    }

    @Override
    public Session open(Bundle bundle, final int height, final int width, int threads) {
        final SparsrModel model = SparsrModel.load(bundle.model(format()), instructionSet, 0);
        final ByteBuffer result;
        try {
            model.setThreads(threads);
            int[] size = model.outputSize(height, width);  // throws where the model cannot take the size
            result = FloatPixels.room(3L * size[0] * size[1]);
        } catch (RuntimeException error) {
            model.close();
            throw error;
        }
        return new Session() {
            private ByteBuffer image;

            @Override
            public void setImage(ByteBuffer next) {
                image = next;
            }

            @Override
            public void run() {
                model.runFloats(image, height, width, result);
            }

            @Override
            public ByteBuffer result() {
                return result;
            }

            @Override
            public void close() {
                model.close();
            }
        };
    }
}
