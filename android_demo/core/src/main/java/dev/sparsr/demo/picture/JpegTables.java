package dev.sparsr.demo.picture;

/** The tables of ITU-T T.81, annex K: quantisation steps and Huffman codes for luminance and colour. */
final class JpegTables {
    /** Where the coefficients of a block, in the order they are written, lie in it. */
    static final int[] ZIGZAG = {
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
        55, 62, 63
    };
    static final int[] LUMINANCE_STEPS = {
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
        87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
        72, 92, 95, 98, 112, 100, 103, 99
    };
    static final int[] COLOUR_STEPS = {
        17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99
    };
    static final Codes LUMINANCE_DC =
            new Codes(new int[] {0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0}, "000102030405060708090a0b");
    static final Codes COLOUR_DC =
            new Codes(new int[] {0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0}, "000102030405060708090a0b");
    static final Codes LUMINANCE_AC = new Codes(
            new int[] {0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125},
            "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738"
                    + "393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798"
                    + "999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1"
                    + "f2f3f4f5f6f7f8f9fa");
    static final Codes COLOUR_AC = new Codes(
            new int[] {0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119},
            "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738"
                    + "393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a929394959697"
                    + "98999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2"
                    + "f3f4f5f6f7f8f9fa");

    private JpegTables() {}

    /** Quantisation steps for a quality of 1 to 100, scaled as is usual. */
    static int[] steps(int[] base, int quality) {
        int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
        int[] steps = new int[64];
        for (int i = 0; i < 64; ++i) steps[i] = Math.max(1, Math.min(255, (base[i] * scale + 50) / 100));
        return steps;
    }

    /** Huffman codes of up to 16 bits. */
    static final class Codes {
        /** How many codes have 1, 2, ... 16 bits. */
        final int[] counts;
        /** The symbols by their codes. */
        final int[] symbols;
        final int[] code = new int[256];
        final int[] length = new int[256];

        Codes(int[] counts, String hexSymbols) {
            this.counts = counts;
            String hex = hexSymbols;
            symbols = new int[hex.length() / 2];
            for (int i = 0; i < symbols.length; ++i) symbols[i] = Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
            int next = 0;
            int at = 0;
            for (int bits = 1; bits <= 16; ++bits) {
                for (int i = 0; i < counts[bits - 1]; ++i) {
                    code[symbols[at]] = next++;
                    length[symbols[at++]] = bits;
                }
                next <<= 1;
            }
        }
    }
}
