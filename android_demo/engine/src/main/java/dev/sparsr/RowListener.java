package dev.sparsr;

/** Takes the rows of a result as they are finished. */
public interface RowListener {
    /**
     * Called once for every row, from top to bottom, on any thread, but never on two at once.
     *
     * @param y   number of the row, from 0
     * @param row its 8-bit values, channel by channel, pixel by pixel; overwritten after the call
     * @return whether to go on: false ends the run
     */
    boolean onRow(int y, byte[] row);
}
