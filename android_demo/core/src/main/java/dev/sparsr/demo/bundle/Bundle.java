package dev.sparsr.demo.bundle;

import dev.sparsr.SparsrException;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.security.MessageDigest;

/** A bundle in a folder whose card has been read and checked. */
public final class Bundle {
    public final File folder;
    public final Card card;
    /** A result to compare with, or null if the bundle has none. */
    public final Reference reference;

    private Bundle(File folder, Card card, Reference reference) {
        this.folder = folder;
        this.card = card;
        this.reference = reference;
    }

    /** Its name in lists and results: the folder's. */
    public String id() {
        return folder.getName();
    }

    /** Reads the card of a bundle and checks that its files have the sizes it states. */
    public static Bundle open(File folder) {
        Card card = Card.parse(read(new File(folder, Card.FILE_NAME), Card.MAX_BYTES));
        for (Card.ModelFile file : card.files) {
            long found = new File(folder, file.name).length();
            if (found != file.bytes) {
                throw damaged(file.name + " has " + found + " bytes, its card says " + file.bytes);
            }
        }
        return new Bundle(folder, card, Reference.read(folder));
    }

    /**
     * The content of the model file in a format, in a direct buffer, once it is what the card states. Every run of the
     * app checks it anew: files can be changed after they were brought in.
     */
    public ByteBuffer model(String format) {
        Card.ModelFile file = card.file(format);
        if (file == null) {
            throw new SparsrException(
                    "The bundle " + id() + " has no " + format + " file.",
                    "Export it again with --format " + format + ", or choose another engine.");
        }
        ByteBuffer content = map(new File(folder, file.name));
        MessageDigest digest = Hashes.sha256();
        digest.update(content.duplicate());
        if (!Hashes.hex(digest.digest()).equals(file.sha256)) {
            throw damaged(file.name + " is not the file its card describes (its SHA-256 differs)");
        }
        return content;
    }

    /** The model file in a format, checked like {@link #model}. */
    public File modelFile(String format) {
        model(format);
        return new File(folder, card.file(format).name);
    }

    private static ByteBuffer map(File file) {
        try (FileInputStream stream = new FileInputStream(file)) {
            return stream.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, file.length());
        } catch (IOException error) {
            throw damaged(file.getName() + " cannot be read (" + error.getMessage() + ")");
        }
    }

    /** A small file whole; refused if it is larger than a bound. */
    static byte[] read(File file, int largest) {
        if (!file.isFile()) {
            throw new SparsrException(
                    file.getParentFile().getName() + " is not a bundle: it has no " + file.getName() + ".",
                    "Choose a folder or zip file made by sparsr export.");
        }
        if (file.length() > largest) throw damaged(file.getName() + " is larger than " + largest + " bytes");
        byte[] content = new byte[(int) file.length()];
        try (FileInputStream stream = new FileInputStream(file)) {
            for (int at = 0; at < content.length; ) {
                int count = stream.read(content, at, content.length - at);
                if (count < 0) throw damaged(file.getName() + " is cut off");
                at += count;
            }
        } catch (IOException error) {
            throw damaged(file.getName() + " cannot be read (" + error.getMessage() + ")");
        }
        return content;
    }

    static SparsrException damaged(String reason) {
        return new SparsrException("The bundle is damaged: " + reason + ".", "Export it again, or fetch it anew.");
    }
}
