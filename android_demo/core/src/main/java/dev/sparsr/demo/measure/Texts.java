package dev.sparsr.demo.measure;

import java.util.Locale;

/** Figures as people read them, the same in every locale. */
public final class Texts {
    private Texts() {}

    static String format(String format, Object... arguments) {
        return String.format(Locale.ROOT, format, arguments);
    }

    /** 12.3 ms. */
    public static String milliseconds(double seconds) {
        double value = seconds * 1e3;
        return format(value < 10 ? "%.2f ms" : value < 100 ? "%.1f ms" : "%.0f ms", value);
    }

    /** 12 MiB, or 358 KiB. */
    public static String size(long bytes) {
        return bytes < 1 << 20 ? format("%.0f KiB", bytes / 1024.0) : format("%.0f MiB", bytes / 1048576.0);
    }

}
