package dev.sparsr.demo.app;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.ArrayList;
import java.util.List;

/** The processor's cores by their highest frequencies: phones have fast and slow ones. */
final class PhoneCores {
    private static final int MOST_THREADS = 8;

    private PhoneCores() {}

    /** The numbers of a set of cores: all, fastest or slowest. */
    static int[] set(String name) {
        int count = Runtime.getRuntime().availableProcessors();
        List<Long> frequencies = new ArrayList<Long>();
        for (int core = 0; core < count; ++core) frequencies.add(frequency(core));
        long wanted = frequencies.get(0);
        for (long frequency : frequencies) {
            wanted = name.equals("slowest") ? Math.min(wanted, frequency) : Math.max(wanted, frequency);
        }
        List<Integer> chosen = new ArrayList<Integer>();
        for (int core = 0; core < count; ++core) {
            if (name.equals("all") || frequencies.get(core) == wanted) chosen.add(core);
        }
        int[] numbers = new int[chosen.size()];
        for (int i = 0; i < numbers.length; ++i) numbers[i] = chosen.get(i);
        return numbers;
    }

    /** How many threads suit the processor: one for every core that is not of the slowest kind. */
    static int goodThreads() {
        int all = set("all").length;
        int slow = set("slowest").length;
        return Math.max(1, Math.min(MOST_THREADS, slow == all ? all : all - slow));
    }

    /** In kHz; 0 where the system does not tell. */
    private static long frequency(int core) {
        File file = new File("/sys/devices/system/cpu/cpu" + core + "/cpufreq/cpuinfo_max_freq");
        try (RandomAccessFile text = new RandomAccessFile(file, "r")) {
            return Long.parseLong(text.readLine().trim());
        } catch (IOException unknown) {
            return 0;
        } catch (NumberFormatException unknown) {
            return 0;
        }
    }
}
