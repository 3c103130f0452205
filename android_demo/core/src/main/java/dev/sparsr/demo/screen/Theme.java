package dev.sparsr.demo.screen;

/** Colours. Text has a contrast of 4.5 to 1 at least to what is behind it (WCAG 2.1, 1.4.3). */
public enum Theme {
    LIGHT(0xfff4f6f6, 0xffffffff, 0xff18211f, 0xff53605d, 0xff0b6b5c, 0xffffffff, 0xffd7dedc, 0xffb3261e, 0xffd5ebe6),
    DARK(0xff101514, 0xff1b2321, 0xffe4ebe9, 0xffa5b3af, 0xff6fd6c3, 0xff06352d, 0xff36423f, 0xfff2a49d, 0xff1f4a42);

    public final int background;
    public final int card;
    public final int text;
    public final int quiet;
    public final int accent;
    public final int onAccent;
    public final int line;
    public final int error;
    public final int soft;

    Theme(int background, int card, int text, int quiet, int accent, int onAccent, int line, int error, int soft) {
        this.background = background;
        this.card = card;
        this.text = text;
        this.quiet = quiet;
        this.accent = accent;
        this.onAccent = onAccent;
        this.line = line;
        this.error = error;
        this.soft = soft;
    }
}
