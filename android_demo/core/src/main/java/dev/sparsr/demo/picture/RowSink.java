package dev.sparsr.demo.picture;

import java.io.Closeable;
import java.io.IOException;

/** Takes the rows of a picture, from top to bottom, as 8-bit RGB. */
public interface RowSink extends Closeable {
    /** The next row; its values may be overwritten afterwards. */
    void write(byte[] row) throws IOException;

    /** Writes what ends the file. Without it the file is not whole. */
    void finish() throws IOException;
}
