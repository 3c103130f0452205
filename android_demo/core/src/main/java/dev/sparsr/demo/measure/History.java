package dev.sparsr.demo.measure;

import dev.sparsr.SparsrException;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.json.JSONException;

/** The results of earlier measurements: a folder of JSON files, named by their time. */
public final class History {
    private static final int LARGEST = 16 << 20;
    private final File folder;

    public History(File folder) {
        this.folder = folder;
        folder.mkdirs();
    }

    /** Keeps a result; the file is there whole or not at all. */
    public File add(Results results) {
        return write(new File(folder, results.created.replaceAll("[^0-9T]", "") + ".json"), ResultJson.write(results));
    }

    /** Writes a text, under another name until it is whole. */
    public static File write(File file, String text) {
        File part = new File(file.getPath() + ".part");
        try {
            try (FileOutputStream stream = new FileOutputStream(part)) {
                stream.write(text.getBytes(StandardCharsets.UTF_8));
                stream.getFD().sync();
            }
            if (!part.renameTo(file)) throw new IOException("it cannot be renamed");
            return file;
        } catch (IOException error) {
            part.delete();
            throw new SparsrException("The result cannot be stored: " + error.getMessage() + ".", "Is there room on the device?");
        }
    }

    /** The files, the latest first. */
    public List<File> files() {
        List<File> files = new ArrayList<File>();
        File[] found = folder.listFiles();
        if (found == null) return files;
        Arrays.sort(found, Collections.reverseOrder());
        for (File file : found) {
            if (file.getName().matches("\\d{8}T\\d+\\.json")) files.add(file);
        }
        return files;
    }

    /** Lines that tell what a file holds: the first its time and settings, then one for every row. */
    public static List<String> headline(File file) {
        try {
            return ResultJson.headline(read(file));
        } catch (JSONException error) {
            return Collections.singletonList(file.getName() + " is damaged.");
        } catch (IOException error) {
            return Collections.singletonList(file.getName() + " cannot be read.");
        }
    }

    private static String read(File file) throws IOException {
        if (file.length() > LARGEST) throw new IOException("too large");
        byte[] content = new byte[(int) file.length()];
        try (InputStream stream = new FileInputStream(file)) {
            for (int at = 0; at < content.length; ) {
                int count = stream.read(content, at, content.length - at);
                if (count < 0) throw new IOException("cut off");
                at += count;
            }
        }
        return new String(content, StandardCharsets.UTF_8);
    }
}
