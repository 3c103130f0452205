package dev.sparsr.demo.app;

import dev.sparsr.SparsrException;

/** Long work in a thread of its own. It goes on while the screen turns or another one is shown. */
abstract class Task implements Runnable {
    private final long begin = System.nanoTime();
    private volatile boolean cancelled;
    private volatile long end;
    /** Read once {@link #done}. */
    private volatile String error;
    private volatile String hint;

    @Override
    public final void run() {
        try {
            compute();
        } catch (SparsrException failed) {
            hint = failed.hint();
            error = failed.getMessage();
        } catch (OutOfMemoryError failed) {
            hint = memoryHint();
            error = memoryError();
        } catch (RuntimeException failed) {  // of a decoder, say: what is worked on comes from outside
            error = failure() + ": " + failed + ".";
        } finally {
            end = System.nanoTime();
        }
    }

    /** The work itself; what it throws becomes {@link #error} and {@link #hint}. */
    abstract void compute();

    /** What to say, and what to do, where memory does not suffice. */
    abstract String memoryError();

    abstract String memoryHint();

    /** What failed, in the words before the colon. */
    abstract String failure();

    void cancel() {
        cancelled = true;
    }

    final boolean cancelled() {
        return cancelled;
    }

    final boolean done() {
        return end != 0;
    }

    final double seconds() {
        return ((done() ? end : System.nanoTime()) - begin) * 1e-9;
    }

    final String error() {
        return error;
    }

    final String hint() {
        return hint;
    }
}
