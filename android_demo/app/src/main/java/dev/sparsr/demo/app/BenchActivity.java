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
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A measurement without a screen:
 * am start -W -S -n dev.sparsr.demo/.app.BenchActivity --es args 'bundles=A,B size=160x90 out=result.json'
 * The result is files/results/OUT in the app's folder, there once it is whole: either results, or an object with error and
 * hint. {@link Arguments} says what may be asked for. Only a shell may start it.
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
        File folder = new File(getFilesDir(), "results");
        folder.mkdirs();
        String out = "result.json";
        try {
            Arguments arguments = Arguments.parse(asked);
            out = arguments.out();
            new File(folder, out).delete();
            Plan plan = arguments.plan(DemoApplication.of(this).bundles().list(), Engines.available());
            Cores.use(PhoneCores.set(plan.cores));
            Benchmark benchmark = new Benchmark(plan, new PhoneDevice(this), new Benchmark.Progress() {
                @Override
                public boolean at(String step, double share) {
                    return !isFinishing();
                }
            });
            History.write(new File(folder, out), ResultJson.write(benchmark.run()));
        } catch (SparsrException error) {
            fail(new File(folder, out), error.getMessage(), error.hint());
        } catch (OutOfMemoryError error) {
            fail(new File(folder, out), "There is not enough memory for this measurement.", "Ask for a smaller size.");
        } catch (RuntimeException error) {
            fail(new File(folder, out), String.valueOf(error), "");
        }
    }

    private static void fail(File file, String message, String hint) {
        try {
            History.write(file, new JSONObject().put("error", message).put("hint", hint).toString());
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
