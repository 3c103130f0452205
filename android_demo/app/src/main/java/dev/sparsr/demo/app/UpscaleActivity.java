package dev.sparsr.demo.app;

import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import dev.sparsr.SparsrException;
import dev.sparsr.SparsrModel;
import dev.sparsr.demo.picture.Upscaling;
import dev.sparsr.demo.screen.BundlesScreen;
import dev.sparsr.demo.screen.Comparison;
import dev.sparsr.demo.screen.Page;
import dev.sparsr.demo.screen.Pixels;
import dev.sparsr.demo.screen.UpscaleScreen;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Upscales a picture of the user's. */
public final class UpscaleActivity extends ScreenActivity {
    private static final int PICK = 1;
    private static final int SAVE = 2;
    private static final int REFRESH_MILLISECONDS = 300;

    private final UpscaleScreen screen = new UpscaleScreen();
    private List<dev.sparsr.demo.bundle.Bundle> bundles = new ArrayList<dev.sparsr.demo.bundle.Bundle>();
    private PictureFile picture;

    @Override
    int tab() {
        return 0;
    }

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        if (state != null) {
            screen.bundle = state.getInt("bundle");
            screen.format = state.getInt("format");
            Uri uri = state.getParcelable("picture");
            if (uri != null) choose(uri);
            if (state.getBoolean("running") && app().upscaling == null) {
                fail("The system closed the app before the picture was finished.", "Start again, and keep the app open.");
            }
        } else {
            take(getIntent());
        }
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        take(intent);
        refresh();
    }

    private void take(Intent intent) {
        if (!Intent.ACTION_SEND.equals(intent.getAction())) return;
        Uri uri = intent.getParcelableExtra(Intent.EXTRA_STREAM);
        if (uri != null) choose(uri);
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putInt("bundle", screen.bundle);
        state.putInt("format", screen.format);
        state.putParcelable("picture", picture == null ? null : picture.uri);
        state.putBoolean("running", app().upscaling != null && !app().upscaling.done());
    }

    @Override
    protected void onResume() {
        super.onResume();
        follow();
    }

    @Override
    protected void onPause() {
        super.onPause();
        handler.removeCallbacksAndMessages(null);
    }

    private void follow() {
        UpscaleTask task = app().upscaling;
        if (task == null) return;
        task.refreshComparison();
        refresh();
        if (task.done()) return;
        handler.postDelayed(new Runnable() {
            @Override
            public void run() {
                follow();
            }
        }, REFRESH_MILLISECONDS);
    }

    @Override
    List<Page.Card> cards() {
        bundles = app().bundles().list();
        screen.bundles = new String[bundles.size()];
        for (int i = 0; i < screen.bundles.length; ++i) screen.bundles[i] = bundles.get(i).id();
        screen.bundle = Math.max(0, Math.min(screen.bundle, bundles.size() - 1));
        screen.about = bundles.isEmpty() ? "" : BundlesScreen.about(bundles.get(screen.bundle).card);
        showPicture();
        showTask();
        if (SparsrModel.unavailable() != null) {
            fail("SparSR's engine cannot run on this device.", "It is made for 64-bit ARM processors: " + SparsrModel.unavailable());
        }
        return screen.cards();
    }

    private void showPicture() {
        screen.picture = picture == null ? null : picture.name + ", " + picture.width + "x" + picture.height;
        if (picture == null || bundles.isEmpty()) return;
        int scale = bundles.get(screen.bundle).card.scale;
        screen.result = (long) picture.width * scale + "x" + (long) picture.height * scale + " pixels";
    }

    private void showTask() {
        UpscaleTask task = app().upscaling;
        screen.running = task != null && !task.done();
        screen.finished = task != null && task.file() != null;
        if (task == null) return;
        screen.comparison = task.comparison();
        screen.progress = task.progress();
        double seconds = task.seconds();
        if (screen.finished) screen.time = " It took " + minutes(seconds) + ".";
        else if (screen.progress > 0.02) screen.time = ", " + minutes(seconds) + " of about " + minutes(seconds / screen.progress);
        else screen.time = "";
        if (task.error() != null) fail(task.error(), task.hint());
    }

    private static String minutes(double seconds) {
        long whole = Math.round(seconds);
        return String.format(Locale.ROOT, "%d:%02d", whole / 60, whole % 60);
    }

    private void fail(String error, String hint) {
        screen.error = error;
        screen.hint = hint;
    }

    @Override
    void perform(String action) {
        if (action.startsWith(UpscaleScreen.BUNDLE)) screen.bundle = number(action, UpscaleScreen.BUNDLE);
        else if (action.startsWith(UpscaleScreen.FORMAT)) screen.format = number(action, UpscaleScreen.FORMAT);
        else if (action.equals(UpscaleScreen.PICK)) {
            ask(new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*"), PICK);
        } else if (action.equals(UpscaleScreen.START)) start();
        else if (action.equals(UpscaleScreen.CANCEL)) app().upscaling.cancel();
        else if (action.equals(UpscaleScreen.WHOLE)) screen.comparison.reset();
        else if (action.equals(UpscaleScreen.SHARE)) share(app().upscaling.file(), type());
        else if (action.equals(UpscaleScreen.SAVE)) {
            ask(new Intent(Intent.ACTION_CREATE_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType(type())
                    .putExtra(Intent.EXTRA_TITLE, app().upscaling.file().getName()), SAVE);
        }
    }

    private String type() {
        return app().upscaling.file().getName().endsWith(".png") ? "image/png" : "image/jpeg";
    }

    private void start() {
        fail(null, null);
        Upscaling.Format format = screen.format == 0 ? Upscaling.Format.JPEG : Upscaling.Format.PNG;
        app().upscaling = new UpscaleTask(this, picture, bundles.get(screen.bundle), format);
        app().run(app().upscaling);
        handler.removeCallbacksAndMessages(null);
        follow();
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        super.onActivityResult(request, result, data);
        if (result != RESULT_OK || data == null || data.getData() == null) return;
        if (request == PICK) choose(data.getData());
        if (request == SAVE) save(data.getData());
    }

    private void choose(Uri uri) {
        fail(null, null);
        try {
            picture = new PictureFile(this, uri);
            try {  // so that it can be read again after the system has ended the app
                getContentResolver().takePersistableUriPermission(uri, Intent.FLAG_GRANT_READ_URI_PERMISSION);
            } catch (SecurityException lent) {  // by another app, for as long as this one runs
                return;
            }
        } catch (SparsrException error) {
            picture = null;
            fail(error.getMessage(), error.hint());
        }
    }

    private void save(final Uri uri) {
        final UpscaleTask task = app().upscaling;
        if (task == null || task.file() == null) return;
        final File file = task.file();
        app().run(new Runnable() {
            @Override
            public void run() {
                final String said = copy(file, uri);
                handler.post(new Runnable() {
                    @Override
                    public void run() {
                        say(said);
                    }
                });
            }
        });
    }

    private String copy(File file, Uri uri) {
        try (InputStream from = new FileInputStream(file);
                OutputStream to = getContentResolver().openOutputStream(uri)) {
            byte[] buffer = new byte[1 << 16];
            for (int count = from.read(buffer); count >= 0; count = from.read(buffer)) to.write(buffer, 0, count);
            return "The picture is saved.";
        } catch (IOException error) {
            return "The picture cannot be saved: " + error.getMessage() + ".";
        } catch (RuntimeException error) {  // the other app's
            return "The picture cannot be saved there.";
        }
    }

    /** Where the picture is zoomed beyond its overview, what is seen is read in full detail. */
    @Override
    public void compared(final Comparison comparison) {
        final UpscaleTask task = app().upscaling;
        if (task == null || task.file() == null || comparison.zoom() < 2 || task.picture.orientation() != 1) return;
        final float[] part = comparison.part();
        app().run(new Runnable() {
            @Override
            public void run() {
                final Pixels[] parts = parts(task, part);
                if (parts == null) return;
                handler.post(new Runnable() {
                    @Override
                    public void run() {
                        comparison.sharpen(part, parts[0], parts[1]);
                        redraw();
                    }
                });
            }
        });
    }

    private Pixels[] parts(UpscaleTask task, float[] part) {
        try (InputStream before = getContentResolver().openInputStream(task.picture.uri);
                InputStream after = new FileInputStream(task.file())) {
            Pixels[] parts = {PictureFile.part(before, part), PictureFile.part(after, part)};
            return parts[0] == null || parts[1] == null ? null : parts;
        } catch (IOException gone) {
            return null;
        } catch (RuntimeException gone) {
            return null;
        } catch (OutOfMemoryError error) {
            return null;
        }
    }
}
