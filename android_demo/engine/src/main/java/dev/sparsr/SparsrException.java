package dev.sparsr;

/** What went wrong, as a sentence for a person, and what to do about it. */
public class SparsrException extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final String hint;

    public SparsrException(String message) {
        this(message, "");
    }

    public SparsrException(String message, String hint) {
        super(message);
        this.hint = hint;
    }

    public SparsrException(String message, String hint, Throwable cause) {
        super(message, cause);
        this.hint = hint;
    }

    /** What to do, or an empty text. */
    public String hint() {
        return hint;
    }
}
