package dev.sparsr.demo.picture;

/** The discrete cosine transform of 8x8 values, orthonormal: ITU-T T.81, A.3.3. */
final class Dct {
    private static final float[] COSINES = new float[64];

    static {
        for (int k = 0; k < 8; ++k) {
            for (int x = 0; x < 8; ++x) {
                double scale = k == 0 ? Math.sqrt(0.125) : 0.5;
                COSINES[8 * k + x] = (float) (scale * Math.cos((2 * x + 1) * k * Math.PI / 16));
            }
        }
    }

    private Dct() {}

    /** In place: rows, then columns. */
    static void forward(float[] block) {
        float[] line = new float[8];
        for (int i = 0; i < 8; ++i) transform(block, 8 * i, 1, line);
        for (int i = 0; i < 8; ++i) transform(block, i, 8, line);
    }

    /** Even frequencies see the sums of opposite values, odd ones their differences. */
    private static void transform(float[] values, int begin, int step, float[] line) {
        for (int x = 0; x < 4; ++x) {
            float near = values[begin + x * step];
            float far = values[begin + (7 - x) * step];
            line[x] = near + far;
            line[x + 4] = near - far;
        }
        for (int k = 0; k < 8; ++k) {
            int half = (k & 1) * 4;
            int at = 8 * k;
            values[begin + k * step] = COSINES[at] * line[half] + COSINES[at + 1] * line[half + 1]
                    + COSINES[at + 2] * line[half + 2] + COSINES[at + 3] * line[half + 3];
        }
    }
}
