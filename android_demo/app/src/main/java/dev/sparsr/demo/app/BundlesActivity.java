package dev.sparsr.demo.app;

import android.content.Intent;
import android.database.Cursor;
import android.net.Uri;
import android.provider.DocumentsContract;
import android.provider.OpenableColumns;
import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.BundleStore;
import dev.sparsr.demo.screen.BundlesScreen;
import dev.sparsr.demo.screen.Page;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;

/** Shows the bundles, and brings in others. */
public final class BundlesActivity extends ScreenActivity {
    private static final int FOLDER = 1;
    private static final int ZIP = 2;

    private final BundlesScreen screen = new BundlesScreen();

    @Override
    int tab() {
        return 3;
    }

    @Override
    List<Page.Card> cards() {
        screen.bundles = app().bundles().list();
        screen.problems = app().bundles().problems();
        if (app().problem() != null) screen.problems.add(app().problem());
        return screen.cards();
    }

    @Override
    void perform(String action) {
        screen.error = null;
        if (action.equals(BundlesScreen.FOLDER)) ask(new Intent(Intent.ACTION_OPEN_DOCUMENT_TREE), FOLDER);
        else if (action.equals(BundlesScreen.ZIP)) {
            ask(new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*"), ZIP);
        } else if (action.startsWith(BundlesScreen.REMOVE)) {
            app().bundles().remove(screen.bundles.get(number(action, BundlesScreen.REMOVE)));
        }
    }

    @Override
    protected void onActivityResult(final int request, int result, Intent data) {
        super.onActivityResult(request, result, data);
        if (result != RESULT_OK || data == null || data.getData() == null) return;
        final Uri uri = data.getData();
        screen.busy = "Reading and checking ...";
        app().run(new Runnable() {
            @Override
            public void run() {
                final SparsrException failure = bring(request, uri);
                handler.post(new Runnable() {
                    @Override
                    public void run() {
                        screen.busy = null;
                        screen.error = failure == null ? null : failure.getMessage();
                        screen.hint = failure == null ? null : failure.hint();
                        refresh();
                    }
                });
            }
        });
    }

    /** What went wrong, or null. */
    private SparsrException bring(int request, Uri uri) {
        try {
            if (request == FOLDER) {
                TreeFiles files = new TreeFiles(uri);
                app().bundles().importFiles(files.folder(), files);
                return null;
            }
            try (InputStream stream = getContentResolver().openInputStream(uri)) {
                app().bundles().importZip(name(uri), stream);
            }
            return null;
        } catch (SparsrException error) {
            return error;
        } catch (IOException error) {
            return new SparsrException("The file cannot be read: " + error.getMessage() + ".");
        } catch (RuntimeException error) {  // another app's provider may throw anything
            return new SparsrException("The file cannot be read: " + error + ".");
        }
    }

    private String name(Uri uri) {
        try (Cursor cursor = getContentResolver().query(uri, new String[] {OpenableColumns.DISPLAY_NAME}, null, null, null)) {
            return cursor != null && cursor.moveToFirst() && cursor.getString(0) != null ? cursor.getString(0) : "bundle";
        }
    }

    /** The files of a folder that the user chose. */
    private final class TreeFiles implements BundleStore.Files {
        private final Uri tree;
        private final Cursor cursor;

        TreeFiles(Uri tree) {
            this.tree = tree;
            Uri children = DocumentsContract.buildChildDocumentsUriUsingTree(tree, DocumentsContract.getTreeDocumentId(tree));
            String[] columns = {
                DocumentsContract.Document.COLUMN_DOCUMENT_ID, DocumentsContract.Document.COLUMN_DISPLAY_NAME,
                DocumentsContract.Document.COLUMN_MIME_TYPE
            };
            cursor = getContentResolver().query(children, columns, null, null, null);
            if (cursor == null) throw new SparsrException("The folder cannot be read.", "Choose it again.");
        }

        String folder() {
            String id = DocumentsContract.getTreeDocumentId(tree);
            return id.substring(Math.max(id.lastIndexOf('/'), id.lastIndexOf(':')) + 1);
        }

        @Override
        public boolean next() {
            while (cursor.moveToNext()) {
                if (!DocumentsContract.Document.MIME_TYPE_DIR.equals(cursor.getString(2))) return true;
            }
            cursor.close();
            return false;
        }

        @Override
        public String name() {
            return cursor.getString(1);
        }

        @Override
        public InputStream open() throws IOException {
            InputStream stream = getContentResolver().openInputStream(
                    DocumentsContract.buildDocumentUriUsingTree(tree, cursor.getString(0)));
            if (stream == null) throw new IOException(name() + " cannot be opened");
            return stream;
        }
    }
}
