package dev.sparsr.demo.app;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Locale;

/** Lets other apps read what the user shares with them: files of two folders of the app's, by their names. */
public final class SharedFiles extends ContentProvider {
    private static final String AUTHORITY = "dev.sparsr.demo.files";
    static final String PICTURES = "pictures";
    static final String RESULTS = "results";

    static Uri uri(File file) {
        return new Uri.Builder().scheme("content").authority(AUTHORITY).appendPath(file.getParentFile().getName())
                .appendPath(file.getName()).build();
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    private File file(Uri uri) throws FileNotFoundException {
        java.util.List<String> parts = uri.getPathSegments();
        if (parts.size() != 2) throw new FileNotFoundException(uri.toString());
        boolean picture = parts.get(0).equals(PICTURES);
        if (!picture && !parts.get(0).equals(RESULTS)) throw new FileNotFoundException(uri.toString());
        File folder = new File(picture ? getContext().getCacheDir() : getContext().getFilesDir(), parts.get(0));
        try {
            File file = new File(folder, parts.get(1)).getCanonicalFile();
            if (file.getParentFile().equals(folder.getCanonicalFile()) && file.isFile()) return file;
        } catch (IOException error) {
            throw new FileNotFoundException(error.getMessage());
        }
        throw new FileNotFoundException(uri.toString());
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String selection, String[] arguments, String order) {
        MatrixCursor cursor = new MatrixCursor(new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE});
        try {
            File file = file(uri);
            cursor.addRow(new Object[] {file.getName(), file.length()});
        } catch (FileNotFoundException missing) {
            return cursor;
        }
        return cursor;
    }

    @Override
    public String getType(Uri uri) {
        String name = String.valueOf(uri.getLastPathSegment()).toLowerCase(Locale.ROOT);
        return name.endsWith(".png") ? "image/png" : name.endsWith(".jpg") ? "image/jpeg" : "application/json";
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int delete(Uri uri, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int update(Uri uri, ContentValues values, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }
}
