package dev.sparsr.demo.app;

import android.content.Context;
import dev.sparsr.SparsrModel;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.picture.Overview;
import dev.sparsr.demo.picture.Upscaling;
import dev.sparsr.demo.screen.Comparison;
import dev.sparsr.demo.screen.Pixels;
import java.io.File;

/** A picture being upscaled, and its result. */
final class UpscaleTask extends Task {
    private static final String PICTURES = SharedFiles.PICTURES;

    final PictureFile picture;
    final Bundle bundle;
    final Upscaling.Format format;
    private final Context context;
    private volatile Upscaling upscaling;
    /** Read once {@link #done}. */
    private volatile File file;
    private volatile Comparison comparison;

    UpscaleTask(Context context, PictureFile picture, Bundle bundle, Upscaling.Format format) {
        this.context = context.getApplicationContext();
        this.picture = picture;
        this.bundle = bundle;
        this.format = format;
    }

    @Override
    String memoryError() {
        return "There is not enough memory for a picture of this size.";
    }

    @Override
    String memoryHint() {
        return "Close other apps, or choose a smaller picture.";
    }

    @Override
    String failure() {
        return "The picture cannot be upscaled";
    }

    @Override
    void compute() {
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
            if (cancelled()) run.cancel();
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

    @Override
    void cancel() {
        super.cancel();
        Upscaling run = upscaling;
        if (run != null) run.cancel();
    }

    double progress() {
        Upscaling run = upscaling;
        return run == null ? 0 : run.progress();
    }

    /** The result, or null. */
    File file() {
        return file;
    }

    Comparison comparison() {
        return comparison;
    }
}
