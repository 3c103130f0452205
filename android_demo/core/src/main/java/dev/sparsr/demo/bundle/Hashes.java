package dev.sparsr.demo.bundle;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256, as the card writes it. */
final class Hashes {
    private Hashes() {}

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);  // every Java has it
        }
    }

    static String hex(byte[] digest) {
        StringBuilder text = new StringBuilder();
        for (byte value : digest) text.append(String.format("%02x", value & 0xff));
        return text.toString();
    }
}
