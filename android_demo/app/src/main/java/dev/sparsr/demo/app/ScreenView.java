package dev.sparsr.demo.app;

import android.content.Context;
import android.content.res.Configuration;
import android.graphics.Canvas;
import android.graphics.Rect;
import android.os.Bundle;
import android.view.MotionEvent;
import android.view.ScaleGestureDetector;
import android.view.View;
import android.view.accessibility.AccessibilityEvent;
import android.view.accessibility.AccessibilityNodeInfo;
import android.view.accessibility.AccessibilityNodeProvider;
import dev.sparsr.demo.screen.Comparison;
import dev.sparsr.demo.screen.Element;
import dev.sparsr.demo.screen.Page;
import dev.sparsr.demo.screen.Theme;
import java.util.ArrayList;
import java.util.List;

/** Shows a page, passes touches on, and tells a screen reader what is on it. */
final class ScreenView extends View implements ScaleGestureDetector.OnScaleGestureListener {
    /** Takes what is asked for by a touch. */
    interface Listener {
        void act(String action);

        /** The user has let go of a comparison. */
        void compared(Comparison comparison);
    }

    private final Listener listener;
    private final ScaleGestureDetector pinches;
    /** With the user's text size: whoever wants larger text gets all of it larger. */
    private final float density = getResources().getDisplayMetrics().scaledDensity;
    private List<Page.Card> cards = new ArrayList<Page.Card>();
    private int tab;
    private Page page;
    private Element.Area touched;
    private float lastX;
    private float lastY;
    private float firstY;
    private boolean divider;

    ScreenView(Context context, Listener listener) {
        super(context);
        this.listener = listener;
        pinches = new ScaleGestureDetector(context, this);
        setFocusable(true);
    }

    void show(int shownTab, List<Page.Card> shown) {
        tab = shownTab;
        cards = shown;
        page = null;
        requestLayout();
        invalidate();
    }

    private AndroidPainter painter(Canvas canvas) {
        return new AndroidPainter(canvas, density);
    }

    private Theme theme() {
        int night = getResources().getConfiguration().uiMode & Configuration.UI_MODE_NIGHT_MASK;
        return night == Configuration.UI_MODE_NIGHT_YES ? Theme.DARK : Theme.LIGHT;
    }

    @Override
    protected void onMeasure(int widthSpec, int heightSpec) {
        int width = MeasureSpec.getSize(widthSpec);
        page = new Page(tab, cards, painter(null), width / density);
        int least = getRootView().getHeight();
        setMeasuredDimension(width, Math.max(least, (int) Math.ceil(page.height() * density)));
    }

    @Override
    protected void onDraw(Canvas canvas) {
        canvas.drawColor(theme().background);
        page = new Page(tab, cards, painter(canvas), getWidth() / density);
        page.draw(theme());
    }

    @Override
    public boolean onTouchEvent(MotionEvent event) {
        if (page == null) return false;
        float x = event.getX() / density;
        float y = event.getY() / density;
        if (event.getActionMasked() == MotionEvent.ACTION_DOWN) begin(x, y);
        if (touched == null) return super.onTouchEvent(event);
        if (touched.comparison != null) return compare(event, x, y);
        if (event.getActionMasked() == MotionEvent.ACTION_UP && touched.holds(x, y)) performAction(touched.action);
        return true;
    }

    private void begin(float x, float y) {
        touched = page.at(x, y);
        lastX = x;
        lastY = y;
        firstY = y;
        if (touched == null || touched.comparison == null) return;
        divider = touched.comparison.grabsDivider((x - touched.x) / touched.width);
    }

    /** Drags and pinches of a comparison; the scrolling around it gets what goes up and down over a whole picture. */
    private boolean compare(MotionEvent event, float x, float y) {
        Comparison comparison = touched.comparison;
        pinches.onTouchEvent(event);
        boolean vertical = divider && Math.abs(y - firstY) > 2 * Math.abs(x - lastX) + 24;
        getParent().requestDisallowInterceptTouchEvent(event.getPointerCount() > 1 || !vertical);
        if (event.getActionMasked() == MotionEvent.ACTION_MOVE && event.getPointerCount() == 1 && !pinches.isInProgress()) {
            if (divider) comparison.moveDivider((x - lastX) / touched.width);
            else comparison.move((x - lastX) / touched.width, (y - lastY) / touched.height);
            invalidate();
        }
        if (event.getActionMasked() == MotionEvent.ACTION_UP) listener.compared(comparison);
        lastX = x;
        lastY = y;
        return true;
    }

    private void performAction(String action) {
        performClick();
        listener.act(action);
    }

    @Override
    public boolean onScale(ScaleGestureDetector detector) {
        if (touched == null || touched.comparison == null) return false;
        touched.comparison.pinch(detector.getScaleFactor(), (detector.getFocusX() / density - touched.x) / touched.width,
                (detector.getFocusY() / density - touched.y) / touched.height);
        invalidate();
        return true;
    }

    @Override
    public boolean onScaleBegin(ScaleGestureDetector detector) {
        return touched != null && touched.comparison != null;
    }

    @Override
    public void onScaleEnd(ScaleGestureDetector detector) {}

    /** Every area of the page is a part of the view to a screen reader. */
    @Override
    public AccessibilityNodeProvider getAccessibilityNodeProvider() {
        return new AccessibilityNodeProvider() {
            @Override
            public AccessibilityNodeInfo createAccessibilityNodeInfo(int id) {
                return id == View.NO_ID ? whole() : part(id);
            }

            @Override
            public boolean performAction(int id, int action, Bundle arguments) {
                List<Element.Area> areas = areas();
                if (id < 0 || id >= areas.size()) return performAccessibilityAction(action, arguments);
                if (action == AccessibilityNodeInfo.ACTION_CLICK && areas.get(id).action != null) {
                    listener.act(areas.get(id).action);
                    return true;
                }
                if (action == AccessibilityNodeInfo.ACTION_ACCESSIBILITY_FOCUS) {
                    sendEvent(id);
                    return true;
                }
                return false;
            }
        };
    }

    private List<Element.Area> areas() {
        return page == null ? new ArrayList<Element.Area>() : page.areas();
    }

    private AccessibilityNodeInfo whole() {
        AccessibilityNodeInfo info = AccessibilityNodeInfo.obtain(this);
        onInitializeAccessibilityNodeInfo(info);
        for (int i = 0; i < areas().size(); ++i) info.addChild(this, i);
        return info;
    }

    private AccessibilityNodeInfo part(int id) {
        if (id < 0 || id >= areas().size()) return null;
        Element.Area area = areas().get(id);
        AccessibilityNodeInfo info = AccessibilityNodeInfo.obtain(this, id);
        info.setParent(this);
        info.setPackageName(getContext().getPackageName());
        info.setClassName(area.action == null ? "android.widget.TextView" : "android.widget.Button");
        info.setContentDescription(area.label);
        info.setVisibleToUser(true);
        info.setEnabled(true);
        info.setSelected(area.selected);
        info.setClickable(area.action != null);
        if (area.action != null) info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_CLICK);
        info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_ACCESSIBILITY_FOCUS);
        int[] at = new int[2];
        getLocationOnScreen(at);
        Rect place = new Rect((int) (area.x * density), (int) (area.y * density), (int) ((area.x + area.width) * density),
                (int) ((area.y + area.height) * density));
        info.setBoundsInParent(place);
        place.offset(at[0], at[1]);
        info.setBoundsInScreen(place);
        return info;
    }

    private void sendEvent(int id) {
        AccessibilityEvent event = AccessibilityEvent.obtain(AccessibilityEvent.TYPE_VIEW_ACCESSIBILITY_FOCUSED);
        event.setSource(this, id);
        event.setPackageName(getContext().getPackageName());
        getParent().requestSendAccessibilityEvent(this, event);
    }
}
