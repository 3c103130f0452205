package dev.sparsr.demo.bundle;

import java.io.File;
import java.nio.charset.StandardCharsets;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A small image and what the exported network makes of it, stored beside the model: what this device's result is checked
 * against. reference.json holds the sizes; reference.rgb the image and after it the result, 8-bit RGB.
 */
public final class Reference {
    static final String DESCRIPTION = "reference.json";
    static final String PIXELS = "reference.rgb";
    private static final int LARGEST_SIDE = 512;

    public final int width;
    public final int height;
    /** 8-bit RGB values, row by row. */
    public final byte[] image;
    public final byte[] result;

    private Reference(int width, int height, byte[] image, byte[] result) {
        this.width = width;
        this.height = height;
        this.image = image;
        this.result = result;
    }

    /** A bundle's, or null if it has none. */
    static Reference read(File folder) {
        File description = new File(folder, DESCRIPTION);
        if (!description.isFile()) return null;
        try {
            JSONObject json = new JSONObject(new String(Bundle.read(description, 10_000), StandardCharsets.UTF_8));
            int width = side(json, "width");
            int height = side(json, "height");
            int scale = json.getInt("scale");
            if (scale < 1 || scale > 16) throw Bundle.damaged("its reference has a scale of " + scale);
            byte[] image = new byte[width * height * 3];
            byte[] result = new byte[image.length * scale * scale];
            byte[] pixels = Bundle.read(new File(folder, PIXELS), image.length + result.length);
            if (pixels.length != image.length + result.length) throw Bundle.damaged(PIXELS + " is cut off");
            System.arraycopy(pixels, 0, image, 0, image.length);
            System.arraycopy(pixels, image.length, result, 0, result.length);
            return new Reference(width, height, image, result);
        } catch (JSONException error) {
            throw Bundle.damaged(DESCRIPTION + " is not valid: " + error.getMessage());
        }
    }

    private static int side(JSONObject json, String name) throws JSONException {
        int value = json.getInt(name);
        if (value < 1 || value > LARGEST_SIDE) throw Bundle.damaged("its reference has a " + name + " of " + value);
        return value;
    }
}
