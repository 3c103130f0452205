package dev.sparsr.demo.engine;

import dev.sparsr.demo.bundle.Bundle;
import java.io.Closeable;
import java.nio.ByteBuffer;

/** An engine that runs bundles, as the benchmark sees it. */
public interface Engine {
    /** Its name in results, as sparsr's own measurements call it: native, ort, litert, ... */
    String name();

    /** The format of the model file it reads. */
    String format();

    /** Its version, or null if it does not tell. */
    String version();

    /** Loads a bundle for images of one size. Throws a SparsrException that says why it cannot. */
    Session open(Bundle bundle, int height, int width, int threads);

    /** A loaded model. */
    interface Session extends Closeable {
        /**
         * Runs it once.
         *
         * @param image  direct, native order, float values [height, width, 3], 0 to the model's value range
         * @param result the same for the result
         */
        void run(ByteBuffer image, ByteBuffer result);

        @Override
        void close();
    }
}
