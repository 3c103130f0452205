package dev.sparsr.demo.screen;

import java.util.ArrayList;
import java.util.List;

/** The screen that upscales a picture: what is seen of its state. */
public final class UpscaleScreen {
    public static final String BUNDLE = "bundle:";
    public static final String FORMAT = "format:";
    public static final String PICK = "pick";
    public static final String START = "start";
    public static final String CANCEL = "cancel";
    public static final String SAVE = "save";
    public static final String SHARE = "share";
    public static final String WHOLE = "whole";

    /** Names of the bundles, and the chosen one. */
    public String[] bundles = {};
    public int bundle;
    /** What the bundle is, in a sentence. */
    public String about = "";
    /** Name and size of the picture, or null. */
    public String picture;
    /** Size of the result, or null as long as it is not known. */
    public String result;
    /** 0 for JPEG, 1 for PNG. */
    public int format;
    public boolean running;
    public double progress;
    /** How long it is taking, and may take. */
    public String time = "";
    public boolean finished;
    /** What went wrong, and what to do. */
    public String error;
    public String hint;
    public Comparison comparison;

    /** Its cards. */
    public List<Page.Card> cards() {
        List<Page.Card> cards = new ArrayList<Page.Card>();
        cards.add(choices());
        if (error != null) cards.add(new Page.Card().add(Elements.error(error, hint)));
        if (running || finished) cards.add(result());
        return cards;
    }

    private Page.Card choices() {
        Page.Card card = new Page.Card();
        if (bundles.length == 0) {
            return card.add(Elements.heading("There is no network yet"))
                    .add(Elements.text("Bring in a bundle made by sparsr export: a folder or a zip file."))
                    .add(Elements.button("Open Bundles", Page.TAB + 3, true));
        }
        card.add(Elements.choice("Network", BUNDLE, bundles, bundle)).add(Elements.note(about));
        card.add(Elements.text(picture == null ? "No picture chosen" : picture));
        if (result != null) card.add(Elements.note("The result has " + result + "."));
        card.add(Elements.choice("Save as", FORMAT, new String[] {"JPEG", "PNG"}, format));
        boolean ready = picture != null && !running;
        return card.add(Elements.row(
                Elements.button("Choose picture", running ? null : PICK, picture == null),
                Elements.button("Upscale", ready ? START : null, ready)));
    }

    private Page.Card result() {
        Page.Card card = new Page.Card();
        if (comparison != null) {
            card.add(Elements.comparison(comparison, 0.75f));
            if (comparison.zoom() > 1) card.add(Elements.button("Show the whole picture", WHOLE, false));
        }
        if (running) {
            return card.add(Elements.progress("Row by row: " + Math.round(progress * 100) + " %" + time, progress))
                    .add(Elements.button("Cancel", CANCEL, false));
        }
        return card.add(Elements.note("Drag the divider; pinch to zoom, then drag the picture." + time))
                .add(Elements.row(Elements.button("Save", SAVE, true), Elements.button("Share", SHARE, false)));
    }
}
