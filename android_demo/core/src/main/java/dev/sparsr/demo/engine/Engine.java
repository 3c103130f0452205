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
        /** Takes the image: direct, native order, float values [height, width, 3], 0 to the model's value range. */
        void setImage(ByteBuffer image);

        /** Runs it once on that image. This is what is timed: turning layouts belongs before and after. */
        void run();

        /** The last run's result, like the image, from position 0. */
        ByteBuffer result();

        @Override
        void close();
    }
}
