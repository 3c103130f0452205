package dev.sparsr.demo.app;

import android.app.Activity;
import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.view.View;
import android.view.WindowInsets;
import android.widget.ScrollView;
import android.widget.Toast;
import dev.sparsr.demo.screen.Comparison;
import dev.sparsr.demo.screen.Page;
import java.io.File;
import java.util.List;

/** A screen of the app: it shows its cards and does what is asked for. */
abstract class ScreenActivity extends Activity implements ScreenView.Listener {
    private static final Class<?>[] TABS = {
        UpscaleActivity.class, BenchmarkActivity.class, HistoryActivity.class, BundlesActivity.class
    };

    final Handler handler = new Handler(Looper.getMainLooper());
    private ScreenView view;

    /** Which tab it is. */
    abstract int tab();

    /** What it shows now. */
    abstract List<Page.Card> cards();

    /** Does what a touch asked for. */
    abstract void perform(String action);

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        view = new ScreenView(this, this);
        ScrollView scroll = new ScrollView(this);
        scroll.addView(view);
        scroll.setFillViewport(true);
        scroll.setOnApplyWindowInsetsListener(new View.OnApplyWindowInsetsListener() {
            @Override
            @SuppressWarnings("deprecation")  // its successor came with Android 11
            public WindowInsets onApplyWindowInsets(View padded, WindowInsets insets) {
                padded.setPadding(insets.getSystemWindowInsetLeft(), insets.getSystemWindowInsetTop(),
                        insets.getSystemWindowInsetRight(), insets.getSystemWindowInsetBottom());
                return insets;
            }
        });
        setContentView(scroll);
    }

    @Override
    protected void onResume() {
        super.onResume();
        refresh();
    }

    final void refresh() {
        if (view != null) view.show(tab(), cards());
    }

    final void redraw() {
        view.invalidate();
    }

    @Override
    public final void act(String action) {
        if (!action.startsWith(Page.TAB)) {
            perform(action);
            refresh();
            return;
        }
        int chosen = number(action, Page.TAB);
        if (chosen == tab()) return;
        startActivity(new Intent(this, TABS[chosen]).addFlags(Intent.FLAG_ACTIVITY_REORDER_TO_FRONT));
        overridePendingTransition(0, 0);
    }

    @Override
    public void compared(Comparison comparison) {}

    /** The number at an action's end. */
    static int number(String action, String prefix) {
        return Integer.parseInt(action.substring(prefix.length()));
    }

    final void say(String text) {
        Toast.makeText(this, text, Toast.LENGTH_LONG).show();
    }

    final DemoApplication app() {
        return DemoApplication.of(this);
    }

    /** Opens the system's sheet for handing a file on. */
    final void share(File file, String type) {
        Uri uri = SharedFiles.uri(file);
        Intent intent = new Intent(Intent.ACTION_SEND).setType(type).putExtra(Intent.EXTRA_STREAM, uri)
                .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        intent.setClipData(android.content.ClipData.newRawUri(file.getName(), uri));
        startActivity(Intent.createChooser(intent, null));
    }

    /** Asks for something by an activity of the system's; says so where there is none. */
    final void ask(Intent intent, int request) {
        try {
            startActivityForResult(intent, request);
        } catch (android.content.ActivityNotFoundException error) {
            say("This device has no app to choose files with.");
        }
    }
}
