package dev.sparsr.demo.engine;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import android.system.ErrnoException;
import android.system.Os;
import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.Bundle;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Collections;

/** ONNX Runtime, with SparSR's operators in it: com.microsoft.onnxruntime:onnxruntime-android. */
public final class OrtEngine implements Engine {
    static {
        // ONNX Runtime sends what it runs to its makers unless it finds this when it is loaded.
        try {
            Os.setenv("ORT_DISABLE_TELEMETRY", "1", true);
        } catch (ErrnoException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public String name() {
        return "ort";
    }

    @Override
    public String format() {
        return "onnx";
    }

    @Override
    public String version() {
        return OrtEnvironment.getEnvironment().getVersion();
    }

    @Override
    public Session open(Bundle bundle, int height, int width, int threads) {
        try {
            OrtEnvironment environment = OrtEnvironment.getEnvironment();
            OrtSession.SessionOptions options = new OrtSession.SessionOptions();
            options.setIntraOpNumThreads(threads);
            options.registerCustomOpLibrary("libsparsr.so");
            OrtSession session = environment.createSession(bundle.modelFile(format()).getPath(), options);
            return new Loaded(environment, session, height, width, bundle.card.scale);
        } catch (OrtException error) {
            throw failed("cannot load the model", error);
        }
    }

    private static SparsrException failed(String what, OrtException error) {
        return new SparsrException("ONNX Runtime " + what + ": " + error.getMessage() + ".", "", error);
    }

    private static final class Loaded implements Session {
        private final OrtEnvironment environment;
        private final OrtSession session;
        private final int height;
        private final int width;
        private final ByteBuffer result;
        private final int resultPixels;
        private OnnxTensor image;
        private OrtSession.Result output;

        Loaded(OrtEnvironment environment, OrtSession session, int height, int width, int scale) {
            this.environment = environment;
            this.session = session;
            this.height = height;
            this.width = width;
            resultPixels = height * scale * width * scale;
            result = FloatPixels.room(3L * resultPixels);
        }

        @Override
        public void setImage(ByteBuffer next) {
            FloatBuffer apart = FloatPixels.room(3L * height * width).asFloatBuffer();
            FloatPixels.turn(next.asFloatBuffer(), apart, height * width, 3, true);
            try {
                image = OnnxTensor.createTensor(environment, apart, new long[] {1, 3, height, width});
            } catch (OrtException error) {
                throw failed("cannot take the image", error);
            }
        }

        @Override
        public void run() {
            try {
                if (output != null) output.close();
                output = session.run(Collections.singletonMap(session.getInputNames().iterator().next(), image));
            } catch (OrtException error) {
                throw failed("failed", error);
            }
        }

        @Override
        public ByteBuffer result() {
            FloatBuffer apart = ((OnnxTensor) output.get(0)).getFloatBuffer();
            FloatPixels.turn(apart, result.asFloatBuffer(), resultPixels, 3, false);
            return result;
        }

        @Override
        public void close() {
            try {
                if (output != null) output.close();
                if (image != null) image.close();
                session.close();
            } catch (OrtException error) {
                throw failed("cannot free the model", error);
            }
        }
    }
}
