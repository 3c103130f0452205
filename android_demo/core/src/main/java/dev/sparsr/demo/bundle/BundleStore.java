package dev.sparsr.demo.bundle;

import dev.sparsr.SparsrException;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * The app's own folder of bundles. What comes from outside is written into a folder of another name, checked there
 * against its card, and only then given its place: nothing half-brought is ever seen.
 */
public final class BundleStore {
    /** No bundle is larger, packed or not. */
    public static final long MAX_BYTES = 2 * Card.MAX_MODEL_BYTES;
    private static final int MAX_FILES = 64;
    private static final String PART = ".part";
    private static final String HINT = "Choose a zip file of one bundle folder made by sparsr export.";

    private final File root;
    private final long maxBytes;

    public BundleStore(File root) {
        this(root, MAX_BYTES);
    }

    /** A store with another bound of a bundle's size. */
    public BundleStore(File root, long maxBytes) {
        this.root = root;
        this.maxBytes = maxBytes;
        if (!root.isDirectory() && !root.mkdirs()) throw cannotWrite("the folder of bundles cannot be made");
        File[] left = root.listFiles();
        if (left == null) return;
        for (File folder : left) {
            if (folder.getName().endsWith(PART)) delete(folder);  // of a process that was ended
        }
    }

    /** The bundles, by name. A damaged one is left out: {@link #problems} says why. */
    public List<Bundle> list() {
        List<Bundle> bundles = new ArrayList<Bundle>();
        for (File folder : folders()) {
            try {
                bundles.add(Bundle.open(folder));
            } catch (SparsrException damaged) {
                continue;
            }
        }
        return bundles;
    }

    /** A sentence for every bundle that cannot be used. */
    public List<String> problems() {
        List<String> problems = new ArrayList<String>();
        for (File folder : folders()) {
            try {
                Bundle.open(folder);
            } catch (SparsrException damaged) {
                problems.add(folder.getName() + ": " + damaged.getMessage());
            }
        }
        return problems;
    }

    /** Whether there is a bundle of that name, damaged or not. */
    public boolean has(String id) {
        return new File(root, id).isDirectory();
    }

    /** Removes a bundle. */
    public void remove(Bundle bundle) {
        delete(bundle.folder);
    }

    /** Brings in what a zip file holds: the files of one bundle, in no folder or in one. The stream is not closed. */
    public Bundle importZip(String name, InputStream stream) {
        Import files = new Import(name);
        try {
            ZipInputStream zip = new ZipInputStream(stream);
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                if (!entry.isDirectory()) files.add(fileName(entry.getName()), zip);
            }
            return files.finish();
        } catch (IOException error) {
            throw new SparsrException("The zip file cannot be read: " + error.getMessage() + ".", HINT, error);
        } catch (IllegalArgumentException error) {  // names that are no text
            throw new SparsrException("The zip file has a name that is no text.", HINT, error);
        } finally {
            files.abandon();
        }
    }

    /** Files of a folder, one after the other. */
    public interface Files {
        /** Goes to the next file; false after the last. */
        boolean next() throws IOException;

        /** The present one's name. */
        String name();

        /** The present one's content; closed by the caller. */
        InputStream open() throws IOException;
    }

    /** Brings in the files of a folder. */
    public Bundle importFiles(String name, Files source) {
        Import files = new Import(name);
        try {
            while (source.next()) {
                try (InputStream stream = source.open()) {
                    files.add(source.name(), stream);
                }
            }
            return files.finish();
        } catch (IOException error) {
            throw new SparsrException("The folder cannot be read: " + error.getMessage() + ".", "Choose it again.", error);
        } finally {
            files.abandon();
        }
    }

    /** The last part of an entry's name; refused where the parts before it would lead out of the zip file's own folder. */
    static String fileName(String entry) {
        String[] parts = entry.split("/", -1);
        for (String part : parts) {
            if (part.isEmpty() || part.equals(".") || part.equals("..") || part.indexOf('\\') >= 0 || part.indexOf('\0') >= 0
                    || part.indexOf(':') >= 0) {
                throw new SparsrException("The zip file has an entry that would leave its folder: \"" + entry + "\".", HINT);
            }
        }
        if (parts.length > 2) throw new SparsrException("The zip file has folders inside of folders.", HINT);
        return parts[parts.length - 1];
    }

    private List<File> folders() {
        File[] found = root.listFiles();
        List<File> folders = new ArrayList<File>();
        if (found == null) return folders;
        Arrays.sort(found);
        for (File folder : found) {
            if (folder.isDirectory() && !folder.getName().endsWith(PART)) folders.add(folder);
        }
        return folders;
    }

    /** Letters, digits and a few signs of a name; what is left may name a folder. */
    static String folderName(String name) {
        String plain = name.replaceAll("\\.zip$", "").replaceAll("[^A-Za-z0-9._-]", "_").replaceAll("^\\.+", "");
        if (plain.endsWith(PART)) plain += "_";
        if (plain.length() > 80) plain = plain.substring(0, 80);
        return plain.isEmpty() ? "bundle" : plain;
    }

    private static SparsrException cannotWrite(String reason) {
        return new SparsrException("The bundle cannot be stored: " + reason + ".", "Is there room on the device?");
    }

    private static void delete(File file) {
        File[] inside = file.listFiles();
        if (inside != null) {
            for (File one : inside) delete(one);
        }
        file.delete();
    }

    /** A bundle on its way in. */
    private final class Import {
        private final String name;
        private final File part;
        private long bytes;
        private int count;

        Import(String name) {
            this.name = folderName(name);
            part = new File(root, this.name + PART);
            delete(part);
            if (!part.mkdirs()) throw cannotWrite("its folder cannot be made");
        }

        void add(String fileName, InputStream content) throws IOException {
            if (++count > MAX_FILES) throw new SparsrException("There are more than " + MAX_FILES + " files.", HINT);
            File file = new File(part, fileName.equals(Card.FILE_NAME) ? fileName : Card.checkedName(fileName));
            if (file.exists()) throw new SparsrException("There are two files " + fileName + ".", HINT);
            try (FileOutputStream output = new FileOutputStream(file)) {
                byte[] buffer = new byte[1 << 16];
                for (int read = content.read(buffer); read >= 0; read = content.read(buffer)) {
                    bytes += read;
                    if (bytes > maxBytes) {
                        throw new SparsrException("The bundle is larger than " + (maxBytes >> 20) + " MiB.", HINT);
                    }
                    output.write(buffer, 0, read);
                }
                output.getFD().sync();
            }
        }

        Bundle finish() {
            Bundle checked = Bundle.open(part);
            for (Card.ModelFile file : checked.card.files) checked.model(file.format);
            String free = name;
            for (int i = 2; has(free); ++i) free = name + "-" + i;
            File place = new File(root, free);
            if (!part.renameTo(place)) throw cannotWrite("its folder cannot be renamed");
            return Bundle.open(place);
        }

        void abandon() {
            delete(part);
        }
    }
}
