package dev.sparsr.demo;

import dev.sparsr.demo.measure.Device;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/** The machine the tests run on, as far as the results need it. */
public final class DesktopDevice implements Device {
    @Override
    public long wallNanos() {
        return System.nanoTime();
    }

    @Override
    public long processorNanos(int threads) {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    @Override
    public long memoryBytes() {
        return Runtime.getRuntime().totalMemory();
    }

    @Override
    public Map<String, Object> condition() {
        Map<String, Object> condition = new LinkedHashMap<String, Object>();
        condition.put("thermal", "none");
        condition.put("battery_percent", 80);
        return condition;
    }

    @Override
    public Map<String, Object> machine() {
        Map<String, Object> machine = new HashMap<String, Object>();
        machine.put("cpu", "test");
        machine.put("architecture", System.getProperty("os.arch"));
        machine.put("isa", new ArrayList<String>());
        machine.put("cores", 2);
        machine.put("memory", 1L << 32);
        machine.put("system", "Linux");
        machine.put("kernel", "test");
        machine.put("python", "none");
        machine.put("packages", new HashMap<String, String>());
        machine.put("model", "a desktop");
        return machine;
    }

    @Override
    public String now() {
        return "2026-01-02T03:04:05+00:00";
    }
}
