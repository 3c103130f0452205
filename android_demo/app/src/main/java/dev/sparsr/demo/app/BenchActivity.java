package dev.sparsr.demo.app;

import android.app.Activity;
import android.os.Bundle;
import android.view.WindowManager;
import android.widget.TextView;
import dev.sparsr.Cores;
import dev.sparsr.SparsrException;
import dev.sparsr.demo.engine.Engines;
import dev.sparsr.demo.measure.Arguments;
import dev.sparsr.demo.measure.Benchmark;
import dev.sparsr.demo.measure.History;
import dev.sparsr.demo.measure.Plan;
import dev.sparsr.demo.measure.ResultJson;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A measurement without a screen:
 * am start -W -S -n dev.sparsr.demo/.app.BenchActivity --es args 'bundles=A,B size=160x90 out=result.json'
 * The result is files/results/OUT in the app's folder, and in its folder on the shared storage, there once it is whole:
 * either results, or an object with error and hint. {@link Arguments} says what may be asked for. Only a shell may start it.
 */
public final class BenchActivity extends Activity {
    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        TextView text = new TextView(this);
        text.setText("Measuring.");
        setContentView(text);
        if (state != null) return;  // a turned screen does not measure again
        final String asked = getIntent().getStringExtra("args");
        DemoApplication.of(this).run(new Runnable() {
            @Override
            public void run() {
                measure(asked);
                finish();
            }
        });
    }

    private void measure(String asked) {
        String out = "result.json";
        try {
            Arguments arguments = Arguments.parse(asked);
            out = arguments.out();
            for (File folder : folders()) new File(folder, out).delete();
            Plan plan = arguments.plan(DemoApplication.of(this).bundles().list(), Engines.available());
            Cores.use(PhoneCores.set(plan.cores));
            Benchmark benchmark = new Benchmark(plan, new PhoneDevice(this), new Benchmark.Progress() {
                @Override
                public boolean at(String step, double share) {
                    return !isFinishing();
                }
            });
            store(out, ResultJson.write(benchmark.run()));
        } catch (SparsrException error) {
            fail(out, error.getMessage(), error.hint());
        } catch (OutOfMemoryError error) {
            fail(out, "There is not enough memory for this measurement.", "Ask for a smaller size.");
        } catch (RuntimeException error) {
            fail(out, String.valueOf(error), "");
        }
    }

    private void fail(String out, String message, String hint) {
        try {
            store(out, new JSONObject().put("error", message).put("hint", hint).toString());
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private void store(String out, String text) {
        for (File folder : folders()) History.write(new File(folder, out), text);
    }

    /** The app's own, for run-as, and its folder on the shared storage, for adb pull. */
    private List<File> folders() {
        List<File> folders = new ArrayList<File>();
        for (File folder : new File[] {new File(getFilesDir(), "results"), getExternalFilesDir("results")}) {
            if (folder != null && (folder.isDirectory() || folder.mkdirs())) folders.add(folder);
        }
        return folders;
    }
}
