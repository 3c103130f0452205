package dev.sparsr.demo.screen;

import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.bundle.Card;
import dev.sparsr.demo.measure.Texts;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The screen with the bundles of the app. */
public final class BundlesScreen {
    public static final String FOLDER = "folder";
    public static final String ZIP = "zip";
    public static final String REMOVE = "remove:";

    public List<Bundle> bundles = new ArrayList<Bundle>();
    public List<String> problems = new ArrayList<String>();
    /** What is being done, or null. */
    public String busy;
    public String error;
    public String hint;

    /** Its cards. */
    public List<Page.Card> cards() {
        List<Page.Card> cards = new ArrayList<Page.Card>();
        Page.Card bring = new Page.Card().add(Elements.heading("Bring in a bundle"))
                .add(Elements.note("What sparsr export writes: the folder itself, or a zip file of it. Every file is checked against"
                        + " the hashes on its card."));
        if (busy != null) bring.add(Elements.text(busy));
        cards.add(bring.add(Elements.row(Elements.button("Zip file", busy == null ? ZIP : null, true),
                Elements.button("Folder", busy == null ? FOLDER : null, false))));
        if (error != null) cards.add(new Page.Card().add(Elements.error(error, hint)));
        for (int i = 0; i < bundles.size(); ++i) cards.add(card(bundles.get(i), i));
        for (String problem : problems) cards.add(new Page.Card().add(Elements.error(problem, null)));
        return cards;
    }

    private static Page.Card card(Bundle bundle, int index) {
        Page.Card card = new Page.Card().add(Elements.heading(bundle.id())).add(Elements.text(about(bundle.card)));
        long bytes = 0;
        StringBuilder formats = new StringBuilder();
        for (Card.ModelFile file : bundle.card.files) {
            bytes += file.bytes;
            formats.append(formats.length() == 0 ? "" : ", ").append(file.format);
        }
        card.add(Elements.note(formats + "; " + Texts.size(bytes)
                + (bundle.reference == null ? "; no reference to check against" : "; with a reference to check against")));
        return card.add(Elements.button("Remove", REMOVE + index, false));
    }

    /** What a network is, in a sentence. */
    public static String about(Card card) {
        String pruned = card.method.equals("dense") ? "dense" : "pruned by " + card.method.toUpperCase(Locale.ROOT);
        return String.format(Locale.ROOT, "%s x%d, %s: %.1f billion multiply-adds for 1280x720", card.architecture.toUpperCase(Locale.ROOT),
                card.scale, pruned, card.gmacs720p * card.nonzero);
    }
}
