package dev.sparsr.demo.engine;

import dev.sparsr.SparsrModel;
import java.util.ArrayList;
import java.util.List;

/** The engines there are: a row of the table for each. Those of the flavour "engines" may be left out of the app. */
public final class Engines {
    private static final String[] OPTIONAL = {"dev.sparsr.demo.engine.OrtEngine", "dev.sparsr.demo.engine.LiteRtEngine"};

    private Engines() {}

    /** The engines of this app on this device. */
    public static List<Engine> available() {
        List<Engine> engines = new ArrayList<Engine>();
        if (SparsrModel.unavailable() == null) engines.add(new NativeEngine());
        for (String name : OPTIONAL) {
            try {
                engines.add((Engine) Class.forName(name).getConstructor().newInstance());
            } catch (ReflectiveOperationException absent) {
                continue;
            } catch (LinkageError absent) {
                continue;
            }
        }
        return engines;
    }

    /** The engine of that name, or null. */
    public static Engine named(String name) {
        for (Engine engine : available()) {
            if (engine.name().equals(name)) return engine;
        }
        return null;
    }
}
