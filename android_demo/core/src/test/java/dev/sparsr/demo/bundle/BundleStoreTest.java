package dev.sparsr.demo.bundle;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import dev.sparsr.SparsrException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class BundleStoreTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();
    private static final byte[] MODEL = {1, 2, 3, 4, 5};
    private BundleStore store;
    private File root;

    @Before
    public void makeStore() throws IOException {
        root = folder.newFolder("bundles");
        store = new BundleStore(root, 100_000);
    }

    static String card(String fileName, long bytes, String sha256) {
        return "{\"schema\": \"sparsr-bundle/1\", \"name\": \"n\", \"architecture\": \"rfdn\", \"scale\": 4, \"method\": \"sls\","
                + "\"value_range\": 1.0, \"minimum_size\": 1, \"parameters\": 10, \"gmacs_720p\": 1.5, \"files\": [{\"name\": \""
                + fileName + "\", \"format\": \"native\", \"bytes\": " + bytes + ", \"sha256\": \"" + sha256 + "\"}]}";
    }

    private static String sha256(byte[] content) {
        return Hashes.hex(Hashes.sha256().digest(content));
    }

    private static byte[] goodCard() {
        return card("model.safetensors", MODEL.length, sha256(MODEL)).getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] zip(Object... namesAndContents) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ZipOutputStream zip = new ZipOutputStream(bytes);
        for (int i = 0; i < namesAndContents.length; i += 2) {
            zip.putNextEntry(new ZipEntry((String) namesAndContents[i]));
            zip.write((byte[]) namesAndContents[i + 1]);
        }
        zip.close();
        return bytes.toByteArray();
    }

    private Bundle bring(byte[] zip) {
        return store.importZip("My bundle.zip", new ByteArrayInputStream(zip));
    }

    private void assertRefused(byte[] zip, String reason) {
        try {
            bring(zip);
            fail("brought in");
        } catch (SparsrException error) {
            assertTrue(error.getMessage(), error.getMessage().contains(reason));
        }
        assertArrayEquals(new String[0], root.list());
    }

    @Test
    public void aZipBecomesABundle() throws IOException {
        Bundle bundle = bring(zip("rfdn/card.json", goodCard(), "rfdn/model.safetensors", MODEL));
        assertEquals("My_bundle", bundle.id());
        byte[] content = new byte[MODEL.length];
        bundle.model("native").get(content);
        assertArrayEquals(MODEL, content);
        assertEquals(1, store.list().size());
    }

    @Test
    public void twoOfOneNameKeepBoth() throws IOException {
        byte[] zip = zip("card.json", goodCard(), "model.safetensors", MODEL);
        assertEquals("My_bundle", bring(zip).id());
        assertEquals("My_bundle-2", bring(zip).id());
    }

    @Test
    public void aFolderBecomesABundle() {
        final Map<String, byte[]> files = new LinkedHashMap<String, byte[]>();
        files.put("card.json", goodCard());
        files.put("model.safetensors", MODEL);
        final Iterator<Map.Entry<String, byte[]>> all = files.entrySet().iterator();
        Bundle bundle = store.importFiles("picked", new BundleStore.Files() {
            private Map.Entry<String, byte[]> present;

            @Override
            public boolean next() {
                present = all.hasNext() ? all.next() : null;
                return present != null;
            }

            @Override
            public String name() {
                return present.getKey();
            }

            @Override
            public InputStream open() {
                return new ByteArrayInputStream(present.getValue());
            }
        });
        assertEquals("picked", bundle.id());
    }

    @Test
    public void entriesThatLeaveTheirFolderAreRefused() throws IOException {
        for (String name : Arrays.asList("../card.json", "a/../../x", "/card.json", "a\\..\\x", "C:x", "a//x", "./card.json")) {
            assertRefused(zip(name, goodCard()), "would leave its folder");
        }
        assertFalse(new File(root.getParentFile(), "card.json").exists());
    }

    @Test
    public void deepFoldersAreRefused() throws IOException {
        assertRefused(zip("a/b/card.json", goodCard()), "folders inside of folders");
    }

    @Test
    public void aBombIsRefusedBeforeItIsUnpacked() throws IOException {
        assertRefused(zip("card.json", goodCard(), "model.safetensors", new byte[50_000_000]), "larger than");
    }

    @Test
    public void manyFilesAreRefused() throws IOException {
        Object[] entries = new Object[200];
        for (int i = 0; i < 100; ++i) {
            entries[2 * i] = "file" + i;
            entries[2 * i + 1] = new byte[0];
        }
        assertRefused(zip(entries), "more than 64 files");
    }

    @Test
    public void theSameNameTwiceIsRefused() throws IOException {
        assertRefused(zip("a/card.json", goodCard(), "b/card.json", goodCard()), "two files card.json");
    }

    @Test
    public void aChangedModelIsRefused() throws IOException {
        assertRefused(zip("card.json", goodCard(), "model.safetensors", new byte[] {1, 2, 3, 4, 6}), "SHA-256 differs");
        assertRefused(zip("card.json", goodCard(), "model.safetensors", new byte[] {1, 2, 3}), "has 3 bytes");
        assertRefused(zip("card.json", goodCard()), "has 0 bytes");
        assertRefused(zip("model.safetensors", MODEL), "has no card.json");
    }

    @Test
    public void damagedZipsAreRefused() throws IOException {
        byte[] whole = zip("card.json", goodCard(), "model.safetensors", MODEL);
        for (int length = 0; length < whole.length - 60; length += 7) {
            try {
                bring(Arrays.copyOf(whole, length));
                store.remove(store.list().get(0));  // only the zip's table of contents was missing
            } catch (SparsrException expected) {
                assertFalse(expected.getMessage().isEmpty());
            }
            assertArrayEquals(new String[0], root.list());
        }
    }

    @Test
    public void hostileCardsAreRefused() throws IOException {
        StringBuilder deep = new StringBuilder();
        for (int i = 0; i < 1_000_000; ++i) deep.append('[');
        String good = new String(goodCard(), StandardCharsets.UTF_8);
        String[] cards = {
            "", "[]", "null", "{}", "{\"schema\": \"sparsr-bundle/9\"}", good.replace("\"scale\": 4", "\"scale\": 1e9"),
            good.replace("1.0", "\"NaN\""), good.replace("model.safetensors", "../../etc/passwd"),
            good.replace("model.safetensors", "card.json"), good.replace("\"bytes\": 5", "\"bytes\": -1"),
            good.replace("\"files\": [", "\"files\": ["
                    + good.substring(good.indexOf("[{") + 1, good.indexOf("}]") + 1) + ","),
        };
        for (String card : cards) assertRefused(zip("card.json", card.getBytes(StandardCharsets.UTF_8)), "card");
        BundleStore large = new BundleStore(root);
        try {
            large.importZip("deep", new ByteArrayInputStream(zip("card.json", deep.toString().getBytes(StandardCharsets.UTF_8))));
            fail("brought in");
        } catch (SparsrException error) {
            assertTrue(error.getMessage(), error.getMessage().contains("card"));
        }
    }

    @Test
    public void whatAnEndedProcessLeftIsRemoved() throws IOException {
        File part = new File(root, "half.part");
        assertTrue(part.mkdir());
        new FileOutputStream(new File(part, "card.json")).close();
        new BundleStore(root);
        assertFalse(part.exists());
    }

    @Test
    public void aBundleDamagedLaterIsLeftOutAndNamed() throws IOException {
        Bundle bundle = bring(zip("card.json", goodCard(), "model.safetensors", MODEL));
        FileOutputStream stream = new FileOutputStream(new File(bundle.folder, "model.safetensors"));
        stream.write(1);
        stream.close();
        assertEquals(0, store.list().size());
        assertTrue(store.problems().get(0), store.problems().get(0).contains("has 1 bytes"));
    }

    @Test
    public void namesBecomeFolders() {
        assertEquals("rfdn_x4", BundleStore.folderName("rfdn x4.zip"));
        assertEquals("_etc", BundleStore.folderName("../etc").replace(".", ""));
        assertEquals("bundle", BundleStore.folderName(""));
        assertEquals("bundle", BundleStore.folderName("..."));
    }
}
