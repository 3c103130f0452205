package dev.sparsr.demo.bundle;

import dev.sparsr.SparsrException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** What a bundle says of itself: its card.json, read and checked. A bundle may come from anywhere. */
public final class Card {
    public static final String FILE_NAME = "card.json";
    public static final String SCHEMA = "sparsr-bundle/1";
    /** No card is larger. */
    public static final int MAX_BYTES = 4_000_000;
    /** No model file is larger. */
    public static final long MAX_MODEL_BYTES = 1_000_000_000;

    private static final String HINT = "Export the bundle again, or fetch it anew.";

    public final String name;
    public final String architecture;
    public final int scale;
    /** How the network was pruned: dense, assl, sls, ... */
    public final String method;
    public final double valueRange;
    /** Least height and width of an image. */
    public final int minimumSize;
    public final long parameters;
    /** 10^9 multiply-adds for a 1280x720 result. */
    public final double gmacs720p;
    /** Share of the multiply-adds whose weight is not zero. */
    public final double nonzero;
    public final List<ModelFile> files;
    /** The scores of its training record, or null. */
    public final JSONObject metrics;

    private Card(JSONObject json) throws JSONException {
        String schema = json.getString("schema");
        if (!schema.equals(SCHEMA)) throw invalid("it has the schema " + shortened(schema) + ", not " + SCHEMA);
        name = json.getString("name");
        architecture = json.getString("architecture");
        scale = (int) number(json, "scale", 1, 16);
        method = json.getString("method");
        valueRange = number(json, "value_range", 1e-3, 65535);
        minimumSize = (int) number(json, "minimum_size", 1, 1024);
        parameters = (long) number(json, "parameters", 0, 1e12);
        gmacs720p = number(json, "gmacs_720p", 0, 1e9);
        nonzero = json.has("nonzero") ? number(json, "nonzero", 0, 1) : 1;
        files = files(json.getJSONArray("files"));
        JSONObject training = json.optJSONObject("training");
        metrics = training == null ? null : training.optJSONObject("metrics");
    }

    /** Reads a card, or throws a {@link SparsrException} that says why it is none. */
    public static Card parse(byte[] content) {
        if (content.length > MAX_BYTES) throw invalid("it is larger than " + MAX_BYTES + " bytes");
        try {
            return new Card(new JSONObject(new String(content, StandardCharsets.UTF_8)));
        } catch (JSONException error) {
            throw invalid(error.getMessage());
        } catch (StackOverflowError error) {
            throw invalid("it is nested too deeply");
        }
    }

    /** The file in one format (native, onnx, tflite), or null. */
    public ModelFile file(String format) {
        for (ModelFile file : files) {
            if (file.format.equals(format)) return file;
        }
        return null;
    }

    private static List<ModelFile> files(JSONArray entries) throws JSONException {
        List<ModelFile> files = new ArrayList<ModelFile>();
        Set<String> formats = new HashSet<String>();
        for (int i = 0; i < entries.length(); ++i) {
            JSONObject entry = entries.getJSONObject(i);
            ModelFile file = new ModelFile(
                    checkedName(entry.getString("name")),
                    entry.getString("format"),
                    (long) number(entry, "bytes", 1, MAX_MODEL_BYTES),
                    entry.getString("sha256"));
            if (!formats.add(file.format)) throw invalid("two of its files have the same format");
            files.add(file);
        }
        if (files.isEmpty()) throw invalid("it names no model file");
        return Collections.unmodifiableList(files);
    }

    /** The name, if it is that of a file right inside the bundle. */
    static String checkedName(String name) {
        boolean leaves = name.isEmpty() || name.equals(".") || name.equals("..") || name.equals(FILE_NAME);
        for (int i = 0; i < name.length(); ++i) leaves |= "/\\:\0".indexOf(name.charAt(i)) >= 0;
        if (leaves || name.length() > 200) throw invalid("the file name " + shortened(name) + " would leave the bundle");
        return name;
    }

    private static double number(JSONObject json, String name, double low, double high) throws JSONException {
        double value = json.getDouble(name);
        if (!(value >= low && value <= high)) throw invalid(name + " is " + value + ", outside " + low + " to " + high);
        return value;
    }

    private static String shortened(String text) {
        return '"' + (text.length() > 60 ? text.substring(0, 60) + "..." : text) + '"';
    }

    private static SparsrException invalid(String reason) {
        return new SparsrException("The bundle's card is not valid: " + reason + ".", HINT);
    }

    /** One model file of a bundle. */
    public static final class ModelFile {
        public final String name;
        /** native, onnx, tflite or tflite-sparse. */
        public final String format;
        public final long bytes;
        public final String sha256;

        ModelFile(String name, String format, long bytes, String sha256) {
            this.name = name;
            this.format = format;
            this.bytes = bytes;
            this.sha256 = sha256;
        }
    }
}
