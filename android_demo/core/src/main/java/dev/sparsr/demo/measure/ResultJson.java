package dev.sparsr.demo.measure;

import dev.sparsr.demo.bundle.Card;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Results as JSON, in the schema of sparsr's own measurements (bench/results.py), so that one tool reads both: times in
 * seconds, sizes in bytes, raw samples in the order of the rounds. Beside that schema's fields stand, for this app:
 * <ul>
 * <li>source: "measured";
 * <li>device: what phone it is, its thermal status and battery before and after, and which cores were used;
 * <li>sustained: points of time, seconds and thermal status, of the first row;
 * <li>cancelled: whether it was ended early;
 * <li>in a row, parity: the share of 8-bit values equal to the stored reference; in a summary, p90.
 * </ul>
 * This is the one class that knows the schema.
 */
public final class ResultJson {
    public static final String SCHEMA = "sparsr-bench/1";

    /** Fields of the results' machine; what else a device tells of itself is its own. */
    private static final String[] MACHINE = {
        "cpu", "architecture", "isa", "cores", "governor", "memory", "system", "kernel", "python", "packages"
    };

    private ResultJson() {}

    /** The whole file as text. */
    public static String write(Results results) {
        try {
            return object(results).toString(1);
        } catch (JSONException error) {
            throw new IllegalStateException(error);  // a number that is none
        }
    }

    private static JSONObject object(Results results) throws JSONException {
        JSONObject json = new JSONObject();
        json.put("schema", SCHEMA);
        json.put("created", results.created);
        json.put("source", "measured");
        json.put("machine", machine(results.machine));
        json.put("settings", settings(results));
        json.put("bundles", bundles(results));
        json.put("rows", rows(results));
        json.put("device", device(results));
        json.put("sustained", sustained(results));
        json.put("cancelled", results.cancelled);
        return json;
    }

    private static JSONObject machine(Map<String, Object> all) throws JSONException {
        JSONObject json = new JSONObject();
        for (String name : MACHINE) json.put(name, value(all.get(name)));
        json.put("name", String.valueOf(all.get("model")));
        return json;
    }

    private static JSONObject device(Results results) throws JSONException {
        JSONObject json = new JSONObject();
        for (Map.Entry<String, Object> entry : results.machine.entrySet()) {
            boolean elsewhere = false;
            for (String name : MACHINE) elsewhere |= name.equals(entry.getKey());
            if (!elsewhere) json.put(entry.getKey(), value(entry.getValue()));
        }
        json.put("used_cores", results.plan.cores);
        json.put("before", condition(results.before));
        json.put("after", condition(results.after));
        return json;
    }

    private static JSONObject condition(Map<String, Object> condition) throws JSONException {
        JSONObject json = new JSONObject();
        for (Map.Entry<String, Object> entry : condition.entrySet()) json.put(entry.getKey(), value(entry.getValue()));
        return json;
    }

    private static Object value(Object value) {
        if (value == null) return JSONObject.NULL;
        if (value instanceof Map) return new JSONObject((Map<?, ?>) value);
        if (value instanceof List) return new JSONArray((List<?>) value);
        return value;
    }

    private static JSONObject settings(Results results) throws JSONException {
        JSONObject json = new JSONObject();
        json.put("width", results.plan.width);
        json.put("height", results.plan.height);
        json.put("threads", results.plan.threads);
        json.put("rounds", results.rounds);
        json.put("basis", results.byProcessorTime() ? "cpu" : "wall");
        json.put("cpus", new JSONArray());
        json.put("hidden", false);
        return json;
    }

    private static JSONArray bundles(Results results) throws JSONException {
        JSONArray array = new JSONArray();
        Set<String> seen = new LinkedHashSet<String>();
        for (Row row : results.rows) {
            if (!seen.add(row.bundle.id())) continue;
            Card card = row.bundle.card;
            Card counterpart = results.counterpart(card);
            JSONObject json = new JSONObject();
            json.put("id", row.bundle.id());
            json.put("name", card.name);
            json.put("architecture", card.architecture);
            json.put("scale", card.scale);
            json.put("method", card.method);
            json.put("parameters", card.parameters);
            json.put("gmacs_720p", card.gmacs720p);
            JSONObject files = new JSONObject();
            for (Card.ModelFile file : card.files) files.put(file.name, file.bytes);
            json.put("files", files);
            json.put("quality", quality(card));
            json.put("counterpart", value(counterpart == null ? null : results.idOf(counterpart)));
            array.put(json);
        }
        return array;
    }

    /** The scores of the card's record that are numbers, of data sets that have a PSNR. */
    private static JSONObject quality(Card card) throws JSONException {
        JSONObject json = new JSONObject();
        JSONArray names = card.metrics == null ? null : card.metrics.names();
        for (int i = 0; names != null && i < names.length(); ++i) {
            JSONObject scores = card.metrics.optJSONObject(names.getString(i));
            if (scores == null || Double.isNaN(scores.optDouble("psnr_y"))) continue;
            JSONObject kept = new JSONObject();
            JSONArray keys = scores.names();
            for (int k = 0; k < keys.length(); ++k) {
                double score = scores.optDouble(keys.getString(k));
                if (!Double.isNaN(score)) kept.put(keys.getString(k), score);
            }
            json.put(names.getString(i), kept);
        }
        return json;
    }

    private static JSONArray rows(Results results) throws JSONException {
        JSONArray array = new JSONArray();
        for (Row row : results.rows) array.put(row(row));
        return array;
    }

    private static JSONObject row(Row row) throws JSONException {
        boolean measured = row.failure == null && !row.wall.isEmpty();
        JSONObject json = new JSONObject();
        json.put("bundle", row.bundle.id());
        json.put("engine", row.engine.name());
        json.put("kind", "runtime");
        json.put("version", value(row.engine.version()));
        json.put("failure", value(row.failure));
        json.put("hint", value(row.hint));
        json.put("load", measured ? row.load : JSONObject.NULL);
        json.put("first", measured ? row.first : JSONObject.NULL);
        json.put("cpu", measured ? summary(row.processorSamples()) : JSONObject.NULL);
        json.put("wall", measured ? summary(row.wallSamples()) : JSONObject.NULL);
        json.put("cpu_samples", array(row.processorSamples()));
        json.put("wall_samples", array(row.wallSamples()));
        json.put("memory", measured && row.memoryPeak > 0 ? memory(row) : JSONObject.NULL);
        json.put("difference", row.parity == null ? JSONObject.NULL : difference(row.parity));
        json.put("opponent", row.opponent == null ? JSONObject.NULL : opponent(row));
        json.put("precision", row.engine.name().endsWith("fp16") ? "float16" : "float32");
        json.put("layers", new JSONArray());
        json.put("source", "measured");
        if (row.parity != null) json.put("parity", row.parity.identical);
        return json;
    }

    private static JSONObject summary(double[] samples) throws JSONException {
        Statistics.Summary summary = Statistics.summarise(samples);
        JSONObject json = new JSONObject();
        json.put("count", summary.count);
        json.put("minimum", summary.minimum);
        json.put("lower_quartile", summary.lowerQuartile);
        json.put("median", summary.median);
        json.put("upper_quartile", summary.upperQuartile);
        json.put("p90", summary.p90);
        return json;
    }

    private static JSONArray array(double[] samples) throws JSONException {
        JSONArray array = new JSONArray();
        for (double sample : samples) array.put(sample);
        return array;
    }

    private static JSONObject memory(Row row) throws JSONException {
        JSONObject json = new JSONObject();
        json.put("baseline", row.memoryBefore);
        json.put("peak", row.memoryPeak);
        return json;
    }

    private static JSONObject difference(Parity parity) throws JSONException {
        JSONObject json = new JSONObject();
        json.put("reference", "stored");
        json.put("max_abs", parity.largestExact);
        json.put("max_8bit", parity.largest);
        return json;
    }

    private static JSONObject opponent(Row row) throws JSONException {
        JSONObject ratio = new JSONObject();
        ratio.put("median", row.ratio.median);
        ratio.put("low", row.ratio.low);
        ratio.put("high", row.ratio.high);
        ratio.put("confidence", row.ratio.confidence);
        JSONObject json = new JSONObject();
        json.put("bundle", row.opponent.bundle.id());
        json.put("engine", row.opponent.engine.name());
        json.put("ratio", ratio);
        return json;
    }

    private static JSONArray sustained(Results results) throws JSONException {
        JSONArray array = new JSONArray();
        for (Results.Sample sample : results.curve) {
            JSONObject json = new JSONObject();
            json.put("at", sample.at);
            json.put("seconds", sample.seconds);
            json.put("thermal", value(sample.thermal));
            array.put(json);
        }
        return array;
    }

    /** What a list of results shows of a stored one. */
    static List<String> headline(String text) throws JSONException {
        JSONObject json = new JSONObject(text);
        List<String> lines = new ArrayList<String>();
        JSONObject settings = json.getJSONObject("settings");
        lines.add(json.getString("created").replaceAll("T(\\d\\d:\\d\\d):\\d\\d\\+00:00", " $1 UTC") + ", " + settings.getInt("width") + "x" + settings.getInt("height") + ", "
                + settings.getInt("threads") + (settings.getInt("threads") == 1 ? " thread" : " threads"));
        JSONArray rows = json.getJSONArray("rows");
        for (int i = 0; i < rows.length(); ++i) {
            JSONObject row = rows.getJSONObject(i);
            String what = row.getString("bundle") + ", " + row.getString("engine") + ": ";
            JSONObject wall = row.optJSONObject("wall");
            JSONObject opponent = row.optJSONObject("opponent");
            String ratio = opponent == null || opponent.getString("bundle").equals(row.getString("bundle")) ? ""
                    : Texts.format(" (%.1fx)", opponent.getJSONObject("ratio").getDouble("median"));
            lines.add(what + (wall == null ? row.optString("failure")
                    : Texts.milliseconds(wall.getDouble("median")) + ratio));
        }
        return lines;
    }
}
