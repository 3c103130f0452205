package dev.sparsr.demo.app;

import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.os.BatteryManager;
import android.os.Build;
import android.os.Debug;
import android.os.PowerManager;
import android.os.Process;
import dev.sparsr.demo.measure.Device;
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.IOException;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TimeZone;

/** The phone, as measurements see it. */
final class PhoneDevice implements Device {
    /** PowerManager's thermal statuses, from Android 10 on. */
    private static final String[] THERMAL = {"none", "light", "moderate", "severe", "critical", "emergency", "shutdown"};

    private final Context context;

    PhoneDevice(Context context) {
        this.context = context.getApplicationContext();
    }

    @Override
    public long wallNanos() {
        return System.nanoTime();
    }

    @Override
    public long processorNanos(int threads) {
        return threads == 1 ? Debug.threadCpuTimeNanos() : Process.getElapsedCpuTime() * 1_000_000;
    }

    @Override
    public long memoryBytes() {
        return Debug.getPss() * 1024;
    }

    @Override
    public Map<String, Object> condition() {
        Map<String, Object> condition = new LinkedHashMap<String, Object>();
        condition.put("thermal", thermal());
        Intent battery = context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        if (battery != null) {
            int scale = Math.max(1, battery.getIntExtra(BatteryManager.EXTRA_SCALE, 100));
            condition.put("battery_percent", 100 * battery.getIntExtra(BatteryManager.EXTRA_LEVEL, 0) / scale);
            condition.put("battery_celsius", battery.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, 0) / 10.0);
            condition.put("charging", battery.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) != 0);
        }
        PowerManager power = (PowerManager) context.getSystemService(Context.POWER_SERVICE);
        condition.put("power_save", power.isPowerSaveMode());
        return condition;
    }

    /** By its name: the app is also built where this call is not known. */
    private String thermal() {
        if (Build.VERSION.SDK_INT < 29) return null;
        try {
            Object power = context.getSystemService(Context.POWER_SERVICE);
            int status = (Integer) PowerManager.class.getMethod("getCurrentThermalStatus").invoke(power);
            return status >= 0 && status < THERMAL.length ? THERMAL[status] : String.valueOf(status);
        } catch (ReflectiveOperationException unknown) {
            return null;
        }
    }

    @Override
    public Map<String, Object> machine() {
        Map<String, Object> machine = new HashMap<String, Object>();
        machine.put("cpu", processor());
        machine.put("architecture", "aarch64");
        machine.put("isa", features());
        machine.put("cores", Runtime.getRuntime().availableProcessors());
        machine.put("governor", line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", ""));
        machine.put("memory", memory());
        machine.put("system", "Android " + Build.VERSION.RELEASE);
        machine.put("kernel", System.getProperty("os.version"));
        machine.put("python", "none");
        machine.put("packages", new HashMap<String, String>());
        machine.put("model", Build.MANUFACTURER + " " + Build.MODEL);
        machine.put("board", Build.BOARD);
        machine.put("api_level", Build.VERSION.SDK_INT);
        machine.put("fingerprint", Build.FINGERPRINT);
        return machine;
    }

    private static String processor() {
        if (Build.VERSION.SDK_INT >= 31) {
            try {
                Object model = Build.class.getField("SOC_MODEL").get(null);
                if (model != null && !Build.UNKNOWN.equals(model)) return String.valueOf(model);
            } catch (ReflectiveOperationException unknown) {
                return Build.HARDWARE;
            }
        }
        String hardware = line("/proc/cpuinfo", "Hardware");
        return hardware == null ? Build.HARDWARE : hardware;
    }

    private static List<String> features() {
        List<String> kept = new ArrayList<String>();
        String all = line("/proc/cpuinfo", "Features");
        for (String word : all == null ? new String[0] : all.split(" ")) {
            if (word.matches("asimd|asimdhp|asimddp|i8mm|bf16|sve2?|sme2?")) kept.add(word);
        }
        return kept;
    }

    private static Long memory() {
        String text = line("/proc/meminfo", "MemTotal");
        return text == null ? null : Long.parseLong(text.replaceAll("[^0-9]", "")) * 1024;
    }

    /** The first line with a name, without the name; null if there is none. */
    private static String line(String path, String name) {
        try (BufferedReader reader = new BufferedReader(new FileReader(path))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (line.startsWith(name)) return line.substring(line.indexOf(name.isEmpty() ? "" : ":") + (name.isEmpty() ? 0 : 1)).trim();
            }
            return null;
        } catch (IOException hidden) {
            return null;
        }
    }

    @Override
    public String now() {
        SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'+00:00'", Locale.ROOT);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        return format.format(new Date());
    }
}
