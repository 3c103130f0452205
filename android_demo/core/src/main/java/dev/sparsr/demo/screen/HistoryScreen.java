package dev.sparsr.demo.screen;

import java.util.ArrayList;
import java.util.List;

/** The screen with earlier results. */
public final class HistoryScreen {
    public static final String SHARE = "share:";
    public static final String DELETE = "delete:";

    /** Lines of every result: the first its time and settings. */
    public List<List<String>> results = new ArrayList<List<String>>();

    /** Its cards. */
    public List<Page.Card> cards() {
        List<Page.Card> cards = new ArrayList<Page.Card>();
        if (results.isEmpty()) {
            cards.add(new Page.Card().add(Elements.heading("Nothing measured yet"))
                    .add(Elements.button("Open Benchmark", Page.TAB + 1, true)));
        }
        for (int i = 0; i < results.size(); ++i) {
            List<String> lines = results.get(i);
            Page.Card card = new Page.Card().add(Elements.heading(lines.get(0)));
            for (String line : lines.subList(1, lines.size())) card.add(Elements.text(line));
            cards.add(card.add(Elements.row(
                    Elements.button("Share", SHARE + i, false), Elements.button("Delete", DELETE + i, false))));
        }
        return cards;
    }
}
