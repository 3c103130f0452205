package dev.sparsr.demo.measure;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import dev.sparsr.SparsrException;
import dev.sparsr.demo.bundle.Bundle;
import dev.sparsr.demo.engine.Engine;
import dev.sparsr.demo.engine.NativeEngine;
import java.io.File;
import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class ArgumentsTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();
    private final List<Bundle> bundles = new ArrayList<Bundle>();
    private final List<Engine> engines = Collections.<Engine>singletonList(new NativeEngine());

    @Before
    public void makeBundles() throws Exception {
        for (String name : new String[] {"one", "two"}) {
            File place = folder.newFolder(name);
            write(new File(place, "m"), "x");
            write(new File(place, "card.json"), "{\"schema\": \"sparsr-bundle/1\", \"name\": \"n\", \"architecture\": \"a\","
                    + "\"scale\": 2, \"method\": \"dense\", \"value_range\": 1, \"minimum_size\": 1, \"parameters\": 1,"
                    + "\"gmacs_720p\": 1, \"files\": [{\"name\": \"m\", \"format\": \"native\", \"bytes\": 1, \"sha256\": \"\"}]}");
            bundles.add(Bundle.open(place));
        }
    }

    private static void write(File file, String text) throws Exception {
        FileOutputStream stream = new FileOutputStream(file);
        stream.write(text.getBytes(StandardCharsets.UTF_8));
        stream.close();
    }

    private Plan plan(String text) {
        return Arguments.parse(text).plan(bundles, engines);
    }

    @Test
    public void withoutArgumentsAllIsMeasured() {
        for (String text : new String[] {null, "", "  "}) {
            Plan plan = plan(text);
            assertEquals(2, plan.bundles.size());
            assertEquals(160, plan.width);
            assertEquals(90, plan.height);
            assertEquals(1, plan.threads);
            assertEquals("all", plan.cores);
        }
        assertEquals("result.json", Arguments.parse("").out());
    }

    @Test
    public void argumentsAreTakenAsTheyAre() {
        Plan plan = plan("bundles=two engines=native size=64x48 threads=2  rounds=3 sustained=60 cores=fastest");
        assertEquals("two", plan.bundles.get(0).id());
        assertEquals(1, plan.bundles.size());
        assertEquals(64, plan.width);
        assertEquals(60, plan.sustainedSeconds);
        assertEquals("fastest", plan.cores);
        assertEquals("run_2.json", Arguments.parse("out=run_2.json").out());
    }

    @Test
    public void wrongOnesAreRefusedInPlainWords() {
        String[] wrong = {
            "size=64", "size=0x5", "size=ax5", "size=99999x5", "threads=0", "rounds=-1", "sustained=99999", "cores=some",
            "bundles=three", "engines=none", "color=red", "threads"
        };
        for (String text : wrong) {
            try {
                plan(text);
                fail(text);
            } catch (SparsrException error) {
                assertTrue(text, error.getMessage().endsWith("."));
            }
        }
        for (String text : new String[] {"out=../x", "out=/x", "out=a/b", "out=", "out=.hidden"}) {
            try {
                Arguments.parse(text).out();
                fail(text);
            } catch (SparsrException error) {
                assertTrue(error.getMessage().contains("no file name"));
            }
        }
    }
}
