package dev.sparsr.demo.picture;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * The EXIF data of a picture: a TIFF structure (CIPA DC-008). It is kept as it is, but for the two fields that say how large
 * the picture is and for the thumbnail, which would show the old one.
 */
public final class Exif {
    private static final int TAG_ORIENTATION = 0x0112;
    private static final int TAG_EXIF = 0x8769;
    private static final int TAG_WIDTH = 0xa002;
    private static final int TAG_HEIGHT = 0xa003;
    private static final int SHORT = 3;
    private static final int LONG = 4;
    private static final byte[] NAME = {'E', 'x', 'i', 'f', 0, 0};

    private final byte[] data;

    private Exif(byte[] data) {
        this.data = data;
    }

    /** That of a JPEG, PNG or WebP file, or null. The stream is read as far as need be. */
    public static Exif read(InputStream stream) {
        try {
            DataInputStream in = new DataInputStream(stream);
            int first = in.readUnsignedShort();
            byte[] found = first == 0xffd8 ? ofJpeg(in) : first == 0x8950 ? ofPng(in) : first == 0x5249 ? ofWebp(in) : null;
            return found != null && valid(found) ? new Exif(found) : null;
        } catch (IOException damaged) {
            return null;
        }
    }

    private static byte[] ofJpeg(DataInputStream in) throws IOException {
        while (true) {
            int marker = in.readUnsignedShort();
            if (marker >> 8 != 0xff || marker == 0xffda || marker == 0xffd9) return null;
            int length = in.readUnsignedShort() - 2;
            if (length < 0) return null;
            byte[] content = new byte[length];
            in.readFully(content);
            if (marker == 0xffe1 && starts(content)) return from(content, NAME.length);
        }
    }

    private static byte[] ofPng(DataInputStream in) throws IOException {
        skip(in, 6);
        while (true) {
            int length = in.readInt();
            int type = in.readInt();
            if (length < 0 || type == 0x49444154 || type == 0x49454e44) return null;  // IDAT, IEND
            if (type == 0x65584966 && length < 1 << 20) {  // eXIf
                byte[] content = new byte[length];
                in.readFully(content);
                return content;
            }
            skip(in, length + 4L);
        }
    }

    private static byte[] ofWebp(DataInputStream in) throws IOException {
        skip(in, 10);
        while (true) {
            int type = in.readInt();
            int length = Integer.reverseBytes(in.readInt());
            if (length < 0) return null;
            if (type == 0x45584946 && length < 1 << 20) {  // EXIF
                byte[] content = new byte[length];
                in.readFully(content);
                return starts(content) ? from(content, NAME.length) : content;
            }
            skip(in, length + (length & 1L));
        }
    }

    private static void skip(DataInputStream in, long count) throws IOException {
        for (long left = count; left > 0; ) {
            long skipped = in.skip(left);
            if (skipped <= 0) {
                in.readByte();
                skipped = 1;
            }
            left -= skipped;
        }
    }

    private static boolean starts(byte[] content) {
        for (int i = 0; i < NAME.length; ++i) {
            if (content.length <= i || content[i] != NAME[i]) return false;
        }
        return true;
    }

    private static byte[] from(byte[] content, int begin) {
        byte[] rest = new byte[content.length - begin];
        System.arraycopy(content, begin, rest, 0, rest.length);
        return rest;
    }

    private static boolean valid(byte[] tiff) {
        if (tiff.length < 14 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return false;
        return new Exif(tiff).number(2, 2) == 42;
    }

    /** How the picture is to be turned for display, 1 to 8 (CIPA DC-008, orientation); 1 if it does not say. */
    public int orientation() {
        int entry = entry((int) number(4, 4), TAG_ORIENTATION);
        long value = entry < 0 ? 1 : number(entry + 8, 2);
        return value >= 1 && value <= 8 ? (int) value : 1;
    }

    /** The structure for a picture of another size, without a thumbnail. */
    public byte[] resized(int width, int height) {
        Exif copy = new Exif(data.clone());
        int first = (int) copy.number(4, 4);
        int pointer = copy.entry(first, TAG_EXIF);
        if (pointer >= 0) {
            int folder = (int) copy.number(pointer + 8, 4);
            copy.setSize(copy.entry(folder, TAG_WIDTH), width);
            copy.setSize(copy.entry(folder, TAG_HEIGHT), height);
        }
        return copy.withoutThumbnail(first);
    }

    /** The next folder is the thumbnail's: the link to it is cleared, and its bytes where they end the structure. */
    private byte[] withoutThumbnail(int first) {
        int count = folderSize(first);
        if (count < 0) return data;
        int link = first + 2 + 12 * count;
        if (link + 4 > data.length) return data;
        int thumbnail = (int) number(link, 4);
        set(link, 4, 0);
        int offset = thumbnail > 0 ? entry(thumbnail, 0x0201) : -1;
        int length = thumbnail > 0 ? entry(thumbnail, 0x0202) : -1;
        if (offset < 0 || length < 0) return data;
        long begin = number(offset + 8, 4);
        long end = begin + number(length + 8, 4);
        if (begin < 14 || end != data.length) return data;
        byte[] shorter = new byte[(int) begin];
        System.arraycopy(data, 0, shorter, 0, shorter.length);
        return shorter;
    }

    private void setSize(int entry, int value) {
        if (entry < 0) return;
        set(entry + 2, 2, LONG);
        set(entry + 8, 4, value);
    }

    /** How many entries a folder has; -1 if there is none there. */
    private int folderSize(int folder) {
        if (folder < 8 || folder + 2 > data.length) return -1;
        int count = (int) number(folder, 2);
        return folder + 2 + 12L * count > data.length ? -1 : count;
    }

    /** Where the entry with a tag begins in a folder, or -1. */
    private int entry(int folder, int tag) {
        int count = folderSize(folder);
        for (int i = 0; i < count; ++i) {
            int at = folder + 2 + 12 * i;
            int type = (int) number(at + 2, 2);
            if (number(at, 2) == tag && (type == SHORT || type == LONG)) return at;
        }
        return -1;
    }

    private boolean little() {
        return data[0] == 'I';
    }

    private long number(int at, int bytes) {
        long value = 0;
        if (at < 0 || at + bytes > data.length) return 0;
        for (int i = 0; i < bytes; ++i) value = value << 8 | (data[little() ? at + bytes - 1 - i : at + i] & 0xff);
        return value;
    }

    private void set(int at, int bytes, long value) {
        if (at < 0 || at + bytes > data.length) return;
        for (int i = 0; i < bytes; ++i) data[little() ? at + i : at + bytes - 1 - i] = (byte) (value >>> (8 * i));
    }
}
