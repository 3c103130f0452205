package dev.sparsr.demo.app;

import android.app.Application;
import android.content.Context;
import android.content.SharedPreferences;
import android.content.pm.PackageManager;
import android.content.res.AssetManager;
import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.BundleStore;
import dev.sparsr.demo.measure.History;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** What lives as long as the process: the stores, and the work that goes on while screens come and go. */
public final class DemoApplication extends Application {
    private static final String ASSETS = "bundles";
    private static final String INSTALLED = "installed";

    /** One thing after the other: two measurements at once would measure each other. */
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private BundleStore bundles;
    private History history;
    private String problem;

    /** The picture being upscaled; null if there is none. */
    UpscaleTask upscaling;
    /** The measurement going on or done last; null if there is none. */
    BenchmarkTask benchmark;

    static DemoApplication of(Context context) {
        return (DemoApplication) context.getApplicationContext();
    }

    @Override
    public void onCreate() {
        super.onCreate();
        bundles = new BundleStore(new File(getFilesDir(), "bundles"));
        history = new History(new File(getFilesDir(), "results"));
        installAssets();
    }

    BundleStore bundles() {
        return bundles;
    }

    History history() {
        return history;
    }

    /** Why the app's own bundles could not be installed, or null. */
    String problem() {
        return problem;
    }

    void run(Runnable work) {
        worker.execute(work);
    }

    /** The app's own bundles go into the store once for every version of the app; removed ones stay removed until then. */
    private void installAssets() {
        try {
            long version = getPackageManager().getPackageInfo(getPackageName(), 0).lastUpdateTime;
            SharedPreferences notes = getSharedPreferences("app", MODE_PRIVATE);
            if (notes.getLong(INSTALLED, 0) == version) return;
            for (String name : getAssets().list(ASSETS)) {
                if (!bundles.has(name)) bundles.importFiles(name, new AssetFiles(getAssets(), ASSETS + "/" + name));
            }
            notes.edit().putLong(INSTALLED, version).apply();
        } catch (SparsrException error) {
            problem = error.getMessage();
        } catch (IOException error) {
            problem = "The app's own bundles cannot be read: " + error.getMessage() + ".";
        } catch (PackageManager.NameNotFoundException error) {
            throw new IllegalStateException(error);  // our own package
        }
    }

    private static final class AssetFiles implements BundleStore.Files {
        private final AssetManager assets;
        private final String folder;
        private final String[] names;
        private int at = -1;

        AssetFiles(AssetManager assets, String folder) throws IOException {
            this.assets = assets;
            this.folder = folder;
            names = assets.list(folder);
        }

        @Override
        public boolean next() {
            return ++at < names.length;
        }

        @Override
        public String name() {
            return names[at];
        }

        @Override
        public InputStream open() throws IOException {
            return assets.open(folder + "/" + names[at]);
        }
    }
}
