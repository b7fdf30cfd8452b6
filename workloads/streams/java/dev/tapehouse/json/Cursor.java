package dev.tapehouse.json;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.util.Arrays;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * A position in one JSON text, as bytes, and what can be read from there.
 *
 * <p>Reading past the end throws {@link IndexOutOfBoundsException}, which the caller takes for a
 * text that ends too early: bounds are checked once, by the machine. Strings are slices of the
 * text; whether it is UTF-8 is asked at the end, and only of a text that is more than ASCII.
 */
final class Cursor {
    private static final int DEEPEST = 1000;
    /** Digits of a decimal. */
    private static final int LONGEST = 200;
    /** Powers of ten that a double holds exactly; a mantissa below 2^53 needs but one rounding. */
    private static final double[] TENS = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };
    private static final long EXACT = 1L << 53;

    private static final VarHandle WORDS =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long ONES = 0x0101010101010101L;
    private static final long HIGH_BITS = 0x80 * ONES;

    private byte[] text;
    private int at;
    private boolean ascii;
    private MemorySegment[] whole;

    /** Begins a text. */
    void reset(byte[] bytes) {
        text = bytes;
        at = 0;
        ascii = true;
        whole = null;
    }

    /** The next byte that is not white space, which stays. */
    byte peek() {
        byte b;
        while ((b = text[at]) <= ' ' && (b == ' ' || b == '\n' || b == '\r' || b == '\t')) {
            at++;
        }
        return b;
    }

    /** Whether the next byte is `wanted`; then it is taken. */
    boolean take(char wanted) {
        boolean found = peek() == wanted;
        if (found) {
            at++;
        }
        return found;
    }

    void expect(char wanted) throws Fault {
        if (!take(wanted)) {
            throw malformed("'" + wanted + "' is missing");
        }
    }

    /** Whether a null is next; then it is taken. */
    boolean isNull() throws Fault {
        if (peek() != 'n') {
            return false;
        }
        word("null");
        return true;
    }

    boolean bool() throws Fault {
        if (peek() == 't') {
            word("true");
            return true;
        }
        if (text[at] == 'f') {
            word("false");
            return false;
        }
        throw unexpected("true or false");
    }

    /** A number without fraction or exponent, within 64 bits. */
    long integer() throws Fault {
        int from = number("a whole number");
        int start = text[from] == '-' ? from + 1 : from;
        long value = 0;
        for (int i = start; i < at; i++) {
            int digit = text[i] - '0';
            if (digit < 0 || digit > 9) {
                throw new Fault(Fault.WRONG_TYPE, "expected a whole number, found " + shown(from));
            }
            value = value * 10 + digit;
        }
        if (at - start >= 19) { // it may have overflowed
            return exactly(from);
        }
        return start > from ? -value : value;
    }

    private long exactly(int from) throws Fault {
        if (at - from <= 20) {
            BigInteger value = new BigInteger(slice(from));
            if (value.bitLength() < Long.SIZE) {
                return value.longValue();
            }
        }
        throw new Fault(Fault.WRONG_TYPE, shown(from) + " does not fit 64 bits");
    }

    /** A number, rounded as Java rounds it; never infinite. */
    double real() throws Fault {
        int from = number("a number");
        int i = text[from] == '-' ? from + 1 : from;
        long mantissa = 0;
        int fraction = -1;
        for (; i < at; i++) {
            byte b = text[i];
            if (b == '.') {
                fraction = i + 1;
            } else if (b > '9' || mantissa >= EXACT / 10) {
                return slowly(from);
            } else {
                mantissa = mantissa * 10 + (b - '0');
            }
        }
        int digits = fraction < 0 ? 0 : at - fraction;
        if (digits >= TENS.length) {
            return slowly(from);
        }
        double value = mantissa / TENS[digits];
        return text[from] == '-' ? -value : value;
    }

    private double slowly(int from) throws Fault {
        double value = Double.parseDouble(slice(from));
        if (Double.isInfinite(value)) {
            throw new Fault(Fault.RULE, shown(from) + " is not a finite number");
        }
        return value;
    }

    /** A decimal, as a number or as text; of a size that can be computed with. */
    BigDecimal decimal() throws Fault {
        int from = at;
        String said = peek() == '"' ? characters() : slice(number("a decimal"));
        try {
            BigDecimal value = new BigDecimal(said.length() > LONGEST ? "" : said);
            if (Math.abs((long) value.scale()) <= LONGEST) {
                return value;
            }
        } catch (NumberFormatException none) {
            // reported below
        }
        throw new Fault(Fault.WRONG_TYPE, "expected a decimal, found " + shown(from));
    }

    /** A string's characters. */
    String characters() throws Fault {
        return string().toString();
    }

    /** A string, sharing the text's bytes where it holds no escapes. */
    BinaryStringData string() throws Fault {
        if (!take('"')) {
            throw unexpected("text");
        }
        int from = at;
        byte b;
        passPlain();
        while ((b = text[at]) != '"') {
            if (b == '\\') {
                return escaped(from);
            }
            plain(b);
            passPlain();
        }
        if (whole == null) {
            whole = new MemorySegment[] {MemorySegmentFactory.wrap(text)};
        }
        return new BinaryStringData(whole, from, at++ - from);
    }

    /**
     * Passes ASCII that stands for itself, eight bytes at a time, as far as there are eight.
     *
     * <p>In each term the lowest high bit is that of a byte looked for: a quote, a backslash, a
     * control character, or no ASCII; borrows only reach higher ones.
     */
    private void passPlain() {
        for (int last = text.length - Long.BYTES; at <= last; at += Long.BYTES) {
            long word = (long) WORDS.get(text, at);
            long quote = word ^ ('"' * ONES);
            long backslash = word ^ ('\\' * ONES);
            long found =
                    ((quote - ONES) & ~quote)
                            | ((backslash - ONES) & ~backslash)
                            | ((word - ' ' * ONES) & ~word)
                            | word;
            found &= HIGH_BITS;
            if (found != 0) {
                at += Long.numberOfTrailingZeros(found) / Byte.SIZE;
                return;
            }
        }
    }

    /** Takes a byte of a string. */
    private void plain(byte b) throws Fault {
        if (b < ' ') {
            if (b >= 0) {
                throw malformed("a control character in text");
            }
            ascii = false;
        }
        at++;
    }

    private BinaryStringData escaped(int from) throws Fault {
        byte[] out = Arrays.copyOfRange(text, from, Math.max(at + 16, 2 * at - from));
        int size = at - from;
        byte b;
        while ((b = text[at]) != '"') {
            if (size + 4 > out.length) {
                out = Arrays.copyOf(out, 2 * out.length);
            }
            if (b == '\\') {
                at++;
                size = escape(out, size);
            } else {
                plain(b);
                out[size++] = b;
            }
        }
        at++;
        return BinaryStringData.fromBytes(out, 0, size);
    }

    /** Decodes what follows a backslash to `out`; the size after it. */
    private int escape(byte[] out, int size) throws Fault {
        byte b = text[at++];
        if (b != 'u') {
            int which = "\"\\/bfnrt".indexOf(b);
            if (which < 0) {
                throw malformed("an unknown escape");
            }
            out[size] = (byte) "\"\\/\b\f\n\r\t".charAt(which);
            return size + 1;
        }
        int point = hex();
        if (Character.isHighSurrogate((char) point) && text[at] == '\\' && text[at + 1] == 'u') {
            at += 2;
            int low = hex();
            if (Character.isLowSurrogate((char) low)) {
                point = Character.toCodePoint((char) point, (char) low);
            }
        }
        if (point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE) {
            throw malformed("half a surrogate pair");
        }
        byte[] encoded = Character.toString(point).getBytes(UTF_8);
        System.arraycopy(encoded, 0, out, size, encoded.length);
        return size + encoded.length;
    }

    private int hex() throws Fault {
        int value = 0;
        for (int i = 0; i < 4; i++) {
            int digit = Character.digit(text[at++], 16);
            if (digit < 0) {
                throw malformed("four hexadecimal digits are expected");
            }
            value = value * 16 + digit;
        }
        return value;
    }

    /** Passes a name in quotes if it is written just so; it begins at the cursor. */
    boolean takeName(byte[] name) {
        int end = at + 1 + name.length;
        boolean found =
                end < text.length
                        && text[at] == '"'
                        && text[end] == '"'
                        && Arrays.equals(text, at + 1, end, name, 0, name.length);
        if (found) {
            at = end + 1;
        }
        return found;
    }

    /** Passes any value. */
    void skip() throws Fault {
        skip(0);
    }

    private void skip(int depth) throws Fault {
        if (depth > DEEPEST) {
            throw new Fault(Fault.NOT_JSON, "nested too deeply");
        }
        switch (peek()) {
            case '{' -> skipObject(depth);
            case '[' -> skipArray(depth);
            case '"' -> skipString();
            case 't' -> word("true");
            case 'f' -> word("false");
            case 'n' -> word("null");
            default -> number("a value");
        }
    }

    private void skipObject(int depth) throws Fault {
        at++;
        if (take('}')) {
            return;
        }
        do {
            peek();
            skipString();
            expect(':');
            skip(depth + 1);
        } while (take(','));
        expect('}');
    }

    private void skipArray(int depth) throws Fault {
        at++;
        if (take(']')) {
            return;
        }
        do {
            skip(depth + 1);
        } while (take(','));
        expect(']');
    }

    private void skipString() throws Fault {
        if (text[at] != '"') {
            throw malformed("a name is missing");
        }
        at++;
        byte b;
        passPlain();
        while ((b = text[at]) != '"') {
            if (b == '\\') {
                at++;
            }
            plain(text[at]);
            passPlain();
        }
        at++;
    }

    /** Nothing but white space may follow, and all of it must have been UTF-8. */
    void end() throws Fault {
        while (at < text.length && text[at] <= ' ' && " \n\r\t".indexOf(text[at]) >= 0) {
            at++;
        }
        if (at < text.length) {
            throw malformed("more follows");
        }
        if (!ascii) {
            checkUtf8();
        }
    }

    void checkUtf8() throws Fault {
        try {
            UTF_8.newDecoder().decode(ByteBuffer.wrap(text));
        } catch (CharacterCodingException wrong) {
            throw new Fault(Fault.NOT_UTF8, wrong.getMessage());
        }
    }

    /** Passes a number as JSON writes it; where it began. */
    private int number(String expected) throws Fault {
        int from = at;
        byte first = peek();
        from = at;
        if (first == '-') {
            at++;
        }
        int digits = at;
        digits();
        if (at == digits) {
            throw unexpected(expected);
        }
        if (text[digits] == '0' && at > digits + 1) {
            throw malformed("a number with a leading zero");
        }
        if (at < text.length && text[at] == '.') {
            at++;
            someDigits();
        }
        if (at < text.length && (text[at] | ' ') == 'e') {
            at++;
            if (text[at] == '-' || text[at] == '+') {
                at++;
            }
            someDigits();
        }
        return from;
    }

    private void digits() {
        byte b;
        while (at < text.length && (b = text[at]) >= '0' && b <= '9') {
            at++;
        }
    }

    private void someDigits() throws Fault {
        int from = at;
        digits();
        if (at == from) {
            throw malformed("a number without digits");
        }
    }

    private void word(String word) throws Fault {
        for (int i = 0; i < word.length(); i++) {
            if (text[at + i] != word.charAt(i)) {
                throw malformed("no such word");
            }
        }
        at += word.length();
    }

    private String slice(int from) {
        return new String(text, from, at - from, ISO_8859_1);
    }

    private String shown(int from) {
        return Fault.excerpt(Arrays.copyOfRange(text, from, at), 0);
    }

    private Fault malformed(String problem) {
        String near = Fault.excerpt(text, Math.min(at, text.length));
        return new Fault(Fault.NOT_JSON, "byte " + at + ": " + problem + ", near " + near);
    }

    /** A value of another type; or no value at all. */
    Fault unexpected(String expected) {
        boolean value = "{[\"tfn-0123456789".indexOf(text[at]) >= 0;
        String found = "expected " + expected + ", found " + Fault.excerpt(text, at);
        return new Fault(value ? Fault.WRONG_TYPE : Fault.NOT_JSON, found);
    }
}
