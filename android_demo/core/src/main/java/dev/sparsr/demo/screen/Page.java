package dev.sparsr.demo.screen;

import dev.sparsr.demo.screen.Painter.Font;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** A screen laid out for a width: cards one below the other, in two columns where there is room. */
public final class Page {
    private static final float MARGIN = 16;
    private static final float INSIDE = 16;
    private static final float TWO_COLUMNS = 720;
    private static final float WIDEST = 1200;
    private static final String[] TABS = {"Upscale", "Benchmark", "History", "Bundles"};

    private final Painter painter;
    private final float width;
    private final List<Placed> placed = new ArrayList<Placed>();
    private final List<Element.Area> areas = new ArrayList<Element.Area>();
    private final int tab;
    private float height;

    /** Actions of the tabs: this and the tab's number. */
    public static final String TAB = "tab:";

    private static final class Placed {
        final Element element;
        final float x;
        final float y;
        final float width;

        Placed(Element element, float x, float y, float width) {
            this.element = element;
            this.x = x;
            this.y = y;
            this.width = width;
        }
    }

    /** A card: elements that belong together. */
    public static final class Card {
        final List<Element> elements = new ArrayList<Element>();

        public Card add(Element element) {
            elements.add(element);
            return this;
        }

        float height(Painter painter, float width) {
            float height = 2 * INSIDE - 10;
            for (Element element : elements) height += element.height(painter, width - 2 * INSIDE) + 10;
            return height;
        }
    }

    /**
     * @param tab   the chosen tab, 0 to 3
     * @param cards what the screen shows
     */
    public Page(int tab, List<Card> cards, Painter painter, float width) {
        this.tab = tab;
        this.painter = painter;
        this.width = width;
        float used = Math.min(width, WIDEST);
        float left = (width - used) / 2 + MARGIN;
        float inside = used - 2 * MARGIN;
        float top = header(left, inside);
        int columns = width >= TWO_COLUMNS && cards.size() > 1 ? 2 : 1;
        float column = (inside - MARGIN * (columns - 1)) / columns;
        float[] ends = new float[columns];
        for (Card card : cards) {
            int at = columns == 2 && ends[1] < ends[0] ? 1 : 0;
            place(card, left + at * (column + MARGIN), top + ends[at], column);
            ends[at] += card.height(painter, column) + MARGIN;
        }
        height = top;
        for (float end : ends) height = Math.max(height, top + end);
    }

    private float header(float left, float inside) {
        add(Elements.text("SparSR", Font.TITLE, Elements.Tone.PLAIN), left, MARGIN, inside);
        float y = MARGIN + Font.TITLE.leading() + 4;
        float part = Math.min(180, inside / TABS.length);
        for (int i = 0; i < TABS.length; ++i) {
            areas.add(new Element.Area(left + i * part, y, part, Elements.TOUCH, TABS[i], TAB + i, i == tab, null));
        }
        return y + Elements.TOUCH + MARGIN;
    }

    private void add(Element element, float x, float y, float elementWidth) {
        placed.add(new Placed(element, x, y, elementWidth));
        element.areas(painter, x, y, elementWidth, areas);
    }

    private final List<float[]> cardPlaces = new ArrayList<float[]>();

    private void place(Card card, float x, float y, float cardWidth) {
        cardPlaces.add(new float[] {x, y, cardWidth, card.height(painter, cardWidth)});
        float at = y + INSIDE;
        for (Element element : card.elements) {
            add(element, x + INSIDE, at, cardWidth - 2 * INSIDE);
            at += element.height(painter, cardWidth - 2 * INSIDE) + 10;
        }
    }

    public float height() {
        return height;
    }

    /** What can be touched or read, in the order of reading. */
    public List<Element.Area> areas() {
        return Collections.unmodifiableList(areas);
    }

    /** What lies under a point and does something, or null. */
    public Element.Area at(float x, float y) {
        for (Element.Area area : areas) {
            if ((area.action != null || area.comparison != null) && area.holds(x, y)) return area;
        }
        return null;
    }

    /** Draws all of it. */
    public void draw(Theme theme) {
        painter.fill(0, 0, width, (float) Math.ceil(height), 0, theme.background);
        for (float[] card : cardPlaces) painter.fill(card[0], card[1], card[2], card[3], 16, theme.card);
        for (Element.Area area : areas) {
            if (area.action != null && area.action.startsWith(TAB)) drawTab(area, theme);
        }
        for (Placed one : placed) one.element.draw(painter, theme, one.x, one.y, one.width);
    }

    private void drawTab(Element.Area area, Theme theme) {
        Font font = Font.STRONG;
        for (String label : TABS) {
            if (painter.width(label, Font.STRONG) + 4 > area.width) font = Font.SMALL;
        }
        String label = Elements.fitted(painter, area.label, font, area.width);
        float x = area.x + (area.width - painter.width(label, font)) / 2;
        painter.text(label, x, area.y + area.height / 2 + 5, font, area.selected ? theme.accent : theme.quiet);
        painter.fill(area.x, area.y + area.height - 3, area.width, area.selected ? 3 : 1, 1, area.selected ? theme.accent : theme.line);
    }
}
