package dev.sparsr.demo;

import dev.sparsr.Cores;
import dev.sparsr.RowListener;
import dev.sparsr.SparsrException;
import dev.sparsr.SparsrModel;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.engine.Engine;
import dev.sparsr.demo.engine.NativeEngine;
import dev.sparsr.demo.measure.Benchmark;
import dev.sparsr.demo.measure.History;
import dev.sparsr.demo.measure.Plan;
import dev.sparsr.demo.measure.ResultJson;
import dev.sparsr.demo.measure.Results;
import dev.sparsr.demo.picture.Upscaling;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * The app's logic from the command line, for the tests: the same classes and the same native methods as on a phone.
 * What is wrong is one line on the error stream and the exit status 1.
 */
public final class Host {
    private static final class Stop extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    private Host() {}

    public static void main(String[] arguments) throws Exception {
        try {
            String[] rest = Arrays.copyOfRange(arguments, 1, arguments.length);
            if (arguments[0].equals("rows")) rows(rest);
            else if (arguments[0].equals("picture")) picture(rest);
            else if (arguments[0].equals("bench")) bench(rest);
            else if (arguments[0].equals("selftest")) selfTest(rest);
            else throw new IllegalArgumentException(arguments[0]);
        } catch (SparsrException error) {
            System.err.println(error.getMessage() + " " + error.hint());
            System.exit(1);
        }
    }

    private static ByteBuffer direct(byte[] content) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(content.length);
        buffer.put(content).flip();
        return buffer;
    }

    private static SparsrModel load(String path) throws IOException {
        return SparsrModel.load(direct(Files.readAllBytes(new File(path).toPath())), null, 0);
    }

    /** MODEL IMAGE WIDTH HEIGHT OUT THREADS: bare RGB values in, the rows in their order out. */
    private static void rows(String[] arguments) throws IOException {
        final int width = Integer.parseInt(arguments[2]);
        final int height = Integer.parseInt(arguments[3]);
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (SparsrModel model = load(arguments[0])) {
            model.setThreads(Integer.parseInt(arguments[5]));
            ByteBuffer image = direct(Files.readAllBytes(new File(arguments[1]).toPath()));
            model.run(image, height, width, 3 * width, 3, new RowListener() {
                private int next;

                @Override
                public boolean onRow(int y, byte[] row) {
                    if (y != next++) throw new IllegalStateException("row " + y);
                    out.write(row, 0, row.length);
                    return true;
                }
            });
        }
        try (FileOutputStream file = new FileOutputStream(arguments[4])) {
            out.writeTo(file);
        }
    }

    /** MODEL IMAGE WIDTH HEIGHT OUT FORMAT: through the app's own writer of pictures. */
    private static void picture(String[] arguments) throws IOException {
        int width = Integer.parseInt(arguments[2]);
        int height = Integer.parseInt(arguments[3]);
        try (SparsrModel model = load(arguments[0])) {
            ByteBuffer image = direct(Files.readAllBytes(new File(arguments[1]).toPath()));
            Upscaling upscaling = new Upscaling(model, new Upscaling.Source(width, height, image, 3, null), new File(arguments[4]));
            boolean complete = upscaling.run(Upscaling.Format.valueOf(arguments[5]));
            System.out.println(complete + " " + upscaling.progress());
        }
    }

    /** OUT WIDTH HEIGHT THREADS ROUNDS SUSTAINED BUNDLE...: a measurement. */
    private static void bench(String[] arguments) {
        List<Bundle> bundles = new ArrayList<Bundle>();
        for (int i = 6; i < arguments.length; ++i) bundles.add(Bundle.open(new File(arguments[i])));
        Plan plan = new Plan(bundles, Collections.<Engine>singletonList(new NativeEngine()), Integer.parseInt(arguments[1]),
                Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3]), Integer.parseInt(arguments[4]),
                Integer.parseInt(arguments[5]), "all");
        Results results = new Benchmark(plan, new DesktopDevice(), new Benchmark.Progress() {
            @Override
            public boolean at(String step, double share) {
                System.out.println(step);
                return true;
            }
        }).run();
        History.write(new File(arguments[0]), ResultJson.write(results));
    }

    /** MODEL IMAGE WIDTH HEIGHT FOLDER: what must hold of cancel, exceptions, closing and wrong arguments. */
    private static void selfTest(String[] arguments) throws Exception {
        final int width = Integer.parseInt(arguments[2]);
        final int height = Integer.parseInt(arguments[3]);
        ByteBuffer image = direct(Files.readAllBytes(new File(arguments[1]).toPath()));
        SparsrModel model = load(arguments[0]);
        for (int threads = 1; threads <= 3; ++threads) {
            model.setThreads(threads);
            final int[] seen = new int[1];
            boolean complete = model.run(image, height, width, 3 * width, 3, new RowListener() {
                @Override
                public boolean onRow(int y, byte[] row) {
                    return ++seen[0] < 3;
                }
            });
            require(!complete && seen[0] == 3, "a run ended at the third row");
            try {
                model.run(image, height, width, 3 * width, 3, new RowListener() {
                    @Override
                    public boolean onRow(int y, byte[] row) {
                        throw new Stop();
                    }
                });
                require(false, "an exception of the listener comes through");
            } catch (Stop expected) {
                // as it must
            }
        }
        final Upscaling[] cancelled = new Upscaling[1];
        File file = new File(arguments[4], "cancelled.png");
        cancelled[0] = new Upscaling(model, new Upscaling.Source(width, height, image, 3, null), file);
        cancelled[0].cancel();
        require(!cancelled[0].run(Upscaling.Format.PNG), "a cancelled picture is not complete");
        require(new File(arguments[4]).list().length == 0, "a cancelled picture leaves nothing");
        refuses(model, image, height + 1, width, 3 * width, "smaller than the image");
        refuses(model, image, height, width, 3 * width + 1, "smaller than the image");
        refuses(model, ByteBuffer.allocate(3 * width * height), height, width, 3 * width, "not a direct one");
        refuses(model, image, 0, width, 3 * width, "no pixels");
        require(model.info().scale > 1 && model.info().inputChannels == 3, "the model tells of itself");
        require(model.describe().contains("\"operations\""), "the model tells what it does");
        model.close();
        model.close();
        refuses(model, image, height, width, 3 * width, "closed");
        for (byte[] broken : new byte[][] {{}, {1, 2, 3}, new byte[1000]}) {
            try {
                SparsrModel.load(direct(broken), null, 0);
                require(false, "a broken model is refused");
            } catch (SparsrException expected) {
                require(expected.getMessage().startsWith("The native engine refuses the model"), expected.getMessage());
            }
        }
        require(Cores.use(0), "a thread may be kept on the first core");
        require(!Cores.use(), "on none it may not");
        for (String line : Files.readAllLines(new File("/proc/thread-self/status").toPath())) {
            require(!line.startsWith("Cpus_allowed_list:") || line.endsWith("\t0"), line);
        }
        System.out.println("fine");
    }

    private static void refuses(SparsrModel model, ByteBuffer image, int height, int width, int row, String reason) {
        try {
            model.run(image, height, width, row, 3, null);
            require(false, "refused: " + reason);
        } catch (SparsrException error) {
            require(error.getMessage().contains(reason), error.getMessage());
        }
    }

    private static void require(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }
}
