package dev.sparsr.demo.app;

import dev.sparsr.demo.measure.History;
import dev.sparsr.demo.screen.HistoryScreen;
import dev.sparsr.demo.screen.Page;
import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** Shows earlier results. */
public final class HistoryActivity extends ScreenActivity {
    private final HistoryScreen screen = new HistoryScreen();
    private List<File> files = new ArrayList<File>();

    @Override
    int tab() {
        return 2;
    }

    @Override
    List<Page.Card> cards() {
        files = app().history().files();
        screen.results.clear();
        for (File file : files) screen.results.add(History.headline(file));
        return screen.cards();
    }

    @Override
    void perform(String action) {
        if (action.startsWith(HistoryScreen.SHARE)) share(files.get(number(action, HistoryScreen.SHARE)), "application/json");
        else if (action.startsWith(HistoryScreen.DELETE)) files.get(number(action, HistoryScreen.DELETE)).delete();
    }
}
