package dev.tapehouse.json;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

/** Why a record is no row. The reasons are those of the feeds' dead letters. */
final class Fault extends Exception {
    static final String MISSING = "missing-data";
    static final String NOT_UTF8 = "not-utf8";
    static final String NOT_JSON = "not-json";
    static final String NOT_AN_OBJECT = "not-an-object";
    static final String WRONG_TYPE = "wrong-type";
    static final String RULE = "rule";
    static final String BAD_TIME = "bad-timestamp";

    private static final int SHOWN = 40;

    final String reason;

    Fault(String reason, String detail) {
        super(detail, null, false, false); // thrown for every bad record: no stack trace
        this.reason = reason;
    }

    /** What stands at `from`, short enough for a message. */
    static String excerpt(byte[] text, int from) {
        int end = Math.min(text.length, from + SHOWN);
        StringBuilder shown = new StringBuilder(new String(text, from, end - from, ISO_8859_1));
        for (int i = 0; i < shown.length(); i++) {
            char c = shown.charAt(i);
            if (c < ' ' || c > '~') {
                shown.setCharAt(i, '?');
            }
        }
        return end < text.length ? shown + "…" : shown.toString();
    }
}
