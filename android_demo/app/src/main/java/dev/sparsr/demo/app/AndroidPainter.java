package dev.sparsr.demo.app;

import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.graphics.Rect;
import android.graphics.RectF;
import android.graphics.Typeface;
import dev.sparsr.demo.screen.Painter;
import dev.sparsr.demo.screen.Pixels;

/** The screens' painter on Android. Without a canvas it only measures. */
final class AndroidPainter implements Painter {
    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG | Paint.FILTER_BITMAP_FLAG);
    private final Canvas canvas;
    private final float density;

    AndroidPainter(Canvas canvas, float density) {
        this.canvas = canvas;
        this.density = density;
    }

    private RectF rectangle(float x, float y, float width, float height) {
        return new RectF(x * density, y * density, (x + width) * density, (y + height) * density);
    }

    @Override
    public void fill(float x, float y, float width, float height, float radius, int colour) {
        paint.setStyle(Paint.Style.FILL);
        paint.setColor(colour);
        canvas.drawRoundRect(rectangle(x, y, width, height), radius * density, radius * density, paint);
    }

    @Override
    public void outline(float x, float y, float width, float height, float radius, int colour) {
        paint.setStyle(Paint.Style.STROKE);
        paint.setStrokeWidth(density);
        paint.setColor(colour);
        canvas.drawRoundRect(rectangle(x + 0.5f, y + 0.5f, width - 1, height - 1), radius * density, radius * density, paint);
    }

    @Override
    public void line(float fromX, float fromY, float toX, float toY, float thickness, int colour) {
        paint.setStyle(Paint.Style.STROKE);
        paint.setStrokeCap(Paint.Cap.ROUND);
        paint.setStrokeWidth(thickness * density);
        paint.setColor(colour);
        canvas.drawLine(fromX * density, fromY * density, toX * density, toY * density, paint);
    }

    private void use(Font font) {
        paint.setStyle(Paint.Style.FILL);
        paint.setTextSize(font.size * density);
        paint.setTypeface(font.bold ? Typeface.DEFAULT_BOLD : Typeface.DEFAULT);
    }

    @Override
    public void text(String text, float x, float baseline, Font font, int colour) {
        use(font);
        paint.setColor(colour);
        canvas.drawText(text, x * density, baseline * density, paint);
    }

    @Override
    public float width(String text, Font font) {
        use(font);
        return paint.measureText(text) / density;
    }

    @Override
    public void picture(Pixels pixels, float left, float top, float width, float height, float toX, float toY, float toWidth,
            float toHeight) {
        if (pixels.cache == null) {
            pixels.cache = Bitmap.createBitmap(pixels.values, pixels.width, pixels.height, Bitmap.Config.ARGB_8888);
        }
        // Whole pixels of the picture, a little more than is seen; the clip cuts off what is too much.
        Rect from = new Rect((int) Math.floor(left), (int) Math.floor(top), (int) Math.ceil(left + width),
                (int) Math.ceil(top + height));
        float scaleX = toWidth / width;
        float scaleY = toHeight / height;
        RectF to = rectangle(toX + (from.left - left) * scaleX, toY + (from.top - top) * scaleY, from.width() * scaleX,
                from.height() * scaleY);
        canvas.save();
        canvas.clipRect(rectangle(toX, toY, toWidth, toHeight));
        canvas.drawBitmap((Bitmap) pixels.cache, from, to, paint);
        canvas.restore();
    }

    @Override
    public void clip(float x, float y, float width, float height) {
        canvas.save();
        canvas.clipRect(rectangle(x, y, width, height));
    }

    @Override
    public void unclip() {
        canvas.restore();
    }
}
