package dev.sparsr.demo.app;

import android.content.Context;
import dev.sparsr.SparsrException;
import dev.sparsr.SparsrModel;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.picture.Overview;
import dev.sparsr.demo.picture.Upscaling;
import dev.sparsr.demo.screen.Comparison;
import dev.sparsr.demo.screen.Pixels;
import java.io.File;

/** A picture being upscaled, and its result. It goes on while the screen turns or another one is shown. */
final class UpscaleTask implements Runnable {
    private static final String PICTURES = SharedFiles.PICTURES;

    final PictureFile picture;
    final Bundle bundle;
    final Upscaling.Format format;
    private final Context context;
    private final long begin = System.nanoTime();
    private volatile Upscaling upscaling;
    private volatile boolean cancelled;
    private volatile long end;
    /** Read once {@link #done}. */
    private volatile String error;
    private volatile String hint;
    private volatile File file;
    private volatile Comparison comparison;

    UpscaleTask(Context context, PictureFile picture, Bundle bundle, Upscaling.Format format) {
        this.context = context.getApplicationContext();
        this.picture = picture;
        this.bundle = bundle;
        this.format = format;
    }

    @Override
    public void run() {
        try {
            compute();
        } catch (SparsrException failed) {
            hint = failed.hint();
            error = failed.getMessage();
        } catch (OutOfMemoryError failed) {
            hint = "Close other apps, or choose a smaller picture.";
            error = "There is not enough memory for a picture of this size.";
        } catch (RuntimeException failed) {  // of a decoder: the picture comes from outside
            error = "The picture cannot be upscaled: " + failed + ".";
        } finally {
            end = System.nanoTime();
        }
    }

    private void compute() {
        File folder = emptyFolder(context);
        Overview before = new Overview(picture.width, picture.height, Upscaling.OVERVIEW_SIDE);
        Upscaling.Source source = picture.read(before);
        Pixels shown = new Pixels(before.width, before.height, before.pixels).turned(picture.orientation());
        comparison = new Comparison(shown, null);
        try (SparsrModel model = SparsrModel.load(bundle.model("native"), null, 0)) {
            model.setThreads(PhoneCores.goodThreads());
            int[] size = model.outputSize(picture.height, picture.width);
            Upscaling.Format fitting = Upscaling.fitting(format, size[1], size[0]);
            File result = new File(folder, resultName(fitting));
            Upscaling run = new Upscaling(model, source, result);
            upscaling = run;
            if (cancelled) run.cancel();
            if (!run.run(fitting)) return;
            showResult(run);
            file = result;
        }
    }

    private String resultName(Upscaling.Format fitting) {
        String plain = picture.name.replaceAll("\\.[A-Za-z0-9]{1,5}$", "").replaceAll("[/\\\\:\0]", "_");
        return plain + "_x" + bundle.card.scale + (fitting == Upscaling.Format.JPEG ? ".jpg" : ".png");
    }

    /** The folder of results, without earlier ones and without what an ended process left. */
    static File emptyFolder(Context context) {
        File folder = new File(context.getCacheDir(), PICTURES);
        folder.mkdirs();
        File[] old = folder.listFiles();
        if (old != null) {
            for (File one : old) one.delete();
        }
        return folder;
    }

    private void showResult(Upscaling run) {
        Overview after = run.overview();
        comparison.setAfter(new Pixels(after.width, after.height, after.pixels).turned(picture.orientation()));
    }

    /** What there is of the result so far goes into the comparison: rows that have not come yet stay transparent. */
    void refreshComparison() {
        Upscaling run = upscaling;
        if (run == null || done() || comparison == null) return;
        Overview after = run.overview();
        if (after == null) return;
        comparison.setAfter(new Pixels(after.width, after.height, after.pixels.clone()).turned(picture.orientation()));
    }

    void cancel() {
        cancelled = true;
        Upscaling run = upscaling;
        if (run != null) run.cancel();
    }

    boolean done() {
        return end != 0;
    }

    double progress() {
        Upscaling run = upscaling;
        return run == null ? 0 : run.progress();
    }

    double seconds() {
        return ((done() ? end : System.nanoTime()) - begin) * 1e-9;
    }

    /** The result, or null. */
    File file() {
        return file;
    }

    String error() {
        return error;
    }

    String hint() {
        return hint;
    }

    Comparison comparison() {
        return comparison;
    }
}
