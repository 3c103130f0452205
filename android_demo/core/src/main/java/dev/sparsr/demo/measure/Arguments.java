package dev.sparsr.demo.measure;

import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.engine.Engine;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What a measurement without a screen is told: words of name=value, separated by spaces. All may be left out:
 * bundles=A,B engines=native size=160x90 threads=1 rounds=15 sustained=0 cores=all out=result.json
 */
public final class Arguments {
    private static final List<String> NAMES =
            Arrays.asList("bundles", "engines", "size", "threads", "rounds", "sustained", "cores", "out");
    private static final String HINT = "Known are: " + NAMES + ".";

    private final Map<String, String> values = new HashMap<String, String>();

    private Arguments() {}

    /** Reads them, or throws a {@link SparsrException}. */
    public static Arguments parse(String text) {
        Arguments arguments = new Arguments();
        for (String word : text == null ? new String[0] : text.trim().split("\\s+")) {
            if (word.isEmpty()) continue;
            int equals = word.indexOf('=');
            if (equals < 0 || !NAMES.contains(word.substring(0, equals))) {
                throw new SparsrException("\"" + word + "\" is no argument.", HINT);
            }
            arguments.values.put(word.substring(0, equals), word.substring(equals + 1));
        }
        return arguments;
    }

    /** The plan they ask for, of what there is. */
    public Plan plan(List<Bundle> bundles, List<Engine> engines) {
        String[] size = text("size", "160x90").split("x", -1);
        if (size.length != 2) throw new SparsrException("The size \"" + text("size", "") + "\" is not WIDTHxHEIGHT.");
        String cores = text("cores", "all");
        if (!Arrays.asList("all", "fastest", "slowest").contains(cores)) {
            throw new SparsrException("The cores are \"" + cores + "\".", "Choose all, fastest or slowest.");
        }
        return new Plan(chosenBundles(bundles), chosenEngines(engines), number("width", size[0]), number("height", size[1]),
                number("threads", text("threads", "1")), number("rounds", text("rounds", "15")),
                number("sustained", text("sustained", "0")), cores);
    }

    /** The name of the file for the result, inside the folder of results. */
    public String out() {
        String name = text("out", "result.json");
        if (!name.matches("[A-Za-z0-9_-][A-Za-z0-9._-]*")) throw new SparsrException("\"" + name + "\" is no file name.");
        return name;
    }

    private List<Bundle> chosenBundles(List<Bundle> all) {
        if (!values.containsKey("bundles")) return all;
        List<Bundle> chosen = new ArrayList<Bundle>();
        for (String name : text("bundles", "").split(",")) {
            Bundle found = null;
            for (Bundle bundle : all) found = bundle.id().equals(name) ? bundle : found;
            if (found == null) throw new SparsrException("There is no bundle " + name + ".", "Bring it in first.");
            chosen.add(found);
        }
        return chosen;
    }

    private List<Engine> chosenEngines(List<Engine> all) {
        if (!values.containsKey("engines")) return all;
        List<Engine> chosen = new ArrayList<Engine>();
        for (String name : text("engines", "").split(",")) {
            Engine found = null;
            for (Engine engine : all) found = engine.name().equals(name) ? engine : found;
            if (found == null) throw new SparsrException("This app has no engine " + name + " on this device.");
            chosen.add(found);
        }
        return chosen;
    }

    private String text(String name, String otherwise) {
        String value = values.get(name);
        return value == null ? otherwise : value;
    }

    private static int number(String name, String text) {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException error) {
            throw new SparsrException("The " + name + " \"" + text + "\" is not a number.");
        }
    }
}
