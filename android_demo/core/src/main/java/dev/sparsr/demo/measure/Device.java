package dev.sparsr.demo.measure;

import java.util.Map;

/** What a measurement asks of the device it runs on. */
public interface Device {
    /** Monotonic. */
    long wallNanos();

    /** Processor time of the whole process, or of the calling thread for one thread, where that is more exact. */
    long processorNanos(int threads);

    /** Proportional set size of this process in bytes, 0 if the system does not tell. */
    long memoryBytes();

    /** What changes while it is measured: thermal status, battery. Names as in the results. */
    Map<String, Object> condition();

    /** What does not: the fields of the results' machine, and of the device beside them. */
    Map<String, Object> machine();

    /** The time now, UTC, ISO 8601. */
    String now();
}
