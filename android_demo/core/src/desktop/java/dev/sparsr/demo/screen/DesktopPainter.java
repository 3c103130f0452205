package dev.sparsr.demo.screen;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.Shape;
import java.awt.geom.AffineTransform;
import java.awt.geom.Line2D;
import java.awt.geom.Rectangle2D;
import java.awt.geom.RoundRectangle2D;
import java.awt.image.BufferedImage;
import java.util.ArrayDeque;
import java.util.Deque;

/** The screens' painter on the desktop. */
final class DesktopPainter implements Painter {
    final BufferedImage image;
    private final Graphics2D canvas;
    private final Deque<Shape> clips = new ArrayDeque<Shape>();

    DesktopPainter(int width, int height, float density) {
        image = new BufferedImage((int) (width * density), (int) (height * density), BufferedImage.TYPE_INT_RGB);
        canvas = image.createGraphics();
        canvas.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
        canvas.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        canvas.setRenderingHint(RenderingHints.KEY_FRACTIONALMETRICS, RenderingHints.VALUE_FRACTIONALMETRICS_ON);
        canvas.scale(density, density);
    }

    @Override
    public void fill(float x, float y, float width, float height, float radius, int colour) {
        canvas.setColor(new Color(colour, true));
        canvas.fill(new RoundRectangle2D.Float(x, y, width, height, 2 * radius, 2 * radius));
    }

    @Override
    public void outline(float x, float y, float width, float height, float radius, int colour) {
        canvas.setColor(new Color(colour, true));
        canvas.setStroke(new BasicStroke(1));
        canvas.draw(new RoundRectangle2D.Float(x + 0.5f, y + 0.5f, width - 1, height - 1, 2 * radius, 2 * radius));
    }

    @Override
    public void line(float fromX, float fromY, float toX, float toY, float thickness, int colour) {
        canvas.setColor(new Color(colour, true));
        canvas.setStroke(new BasicStroke(thickness, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
        canvas.draw(new Line2D.Float(fromX, fromY, toX, toY));
    }

    private static java.awt.Font font(Font font) {
        return new java.awt.Font("SansSerif", font.bold ? java.awt.Font.BOLD : java.awt.Font.PLAIN, 1).deriveFont(font.size);
    }

    @Override
    public void text(String text, float x, float baseline, Font font, int colour) {
        canvas.setColor(new Color(colour, true));
        canvas.setFont(font(font));
        canvas.drawString(text, x, baseline);
    }

    @Override
    public float width(String text, Font font) {
        return (float) font(font).getStringBounds(text, canvas.getFontRenderContext()).getWidth();
    }

    @Override
    public void picture(Pixels pixels, float left, float top, float width, float height, float toX, float toY, float toWidth,
            float toHeight) {
        BufferedImage source = new BufferedImage(pixels.width, pixels.height, BufferedImage.TYPE_INT_ARGB);
        source.setRGB(0, 0, pixels.width, pixels.height, pixels.values, 0, pixels.width);
        clip(toX, toY, toWidth, toHeight);
        AffineTransform place = AffineTransform.getTranslateInstance(toX, toY);
        place.scale(toWidth / width, toHeight / height);
        place.translate(-left, -top);
        canvas.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR);
        canvas.drawImage(source, place, null);
        unclip();
    }

    @Override
    public void clip(float x, float y, float width, float height) {
        Shape before = canvas.getClip();
        clips.push(before == null ? new Rectangle2D.Float(-1e5f, -1e5f, 2e5f, 2e5f) : before);
        canvas.clip(new Rectangle2D.Float(x, y, width, height));
    }

    @Override
    public void unclip() {
        canvas.setClip(clips.pop());
    }
}
