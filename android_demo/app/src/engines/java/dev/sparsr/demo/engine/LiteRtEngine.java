package dev.sparsr.demo.engine;

import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.Bundle;
import java.nio.ByteBuffer;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;

/**
 * LiteRT with XNNPACK on the dense file: com.google.ai.edge.litert:litert. Its Java interface takes no operators of others,
 * so that the sparse file cannot run here; it is the dense opponent.
 */
public final class LiteRtEngine implements Engine {
    @Override
    public String name() {
        return "litert";
    }

    @Override
    public String format() {
        return "tflite";
    }

    @Override
    public String version() {
        return TensorFlowLite.runtimeVersion();
    }

    @Override
    public Session open(Bundle bundle, int height, int width, int threads) {
        final int scale = bundle.card.scale;
        final ByteBuffer result = FloatPixels.room(3L * height * scale * width * scale);
        final Interpreter interpreter;
        try {
            Interpreter.Options options = new Interpreter.Options().setNumThreads(threads).setUseXNNPACK(true);
            interpreter = new Interpreter(bundle.modelFile(format()), options);
            interpreter.resizeInput(0, new int[] {1, height, width, 3});
            interpreter.allocateTensors();
        } catch (IllegalArgumentException error) {
            throw new SparsrException("LiteRT cannot load the model: " + error.getMessage() + ".", "", error);
        }
        return new Session() {
            private ByteBuffer image;

            @Override
            public void setImage(ByteBuffer next) {
                image = next;
            }

            @Override
            public void run() {
                image.rewind();
                result.rewind();
                interpreter.run(image, result);
            }

            @Override
            public ByteBuffer result() {
                result.rewind();
                return result;
            }

            @Override
            public void close() {
                interpreter.close();
            }
        };
    }
}
