package dev.tapehouse.json;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** ISO-8601 times: the form the feeds write by hand, every other one by the library. */
final class Times {
    private static final long DAY_MILLIS = 86_400_000L;
    /** Nanoseconds of the last digit, by the number of digits of a second. */
    private static final int[] UNITS = {
        1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1
    };
    private static final int[] MONTH_DAYS = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    private Times() {}

    /** A moment; without an offset it is UTC. Digits beyond `precision` are cut. */
    static TimestampData moment(BinaryStringData text, int precision) throws Fault {
        TimestampData quick = canonical(text, precision, true);
        if (quick != null) {
            return quick;
        }
        String said = text.toString().replace(' ', 'T');
        try {
            boolean zoned = said.matches(".*T.*([zZ]|[+-]\\d\\d:\\d\\d)");
            return cut(OffsetDateTime.parse(zoned ? said : said + "Z").toInstant(), precision);
        } catch (DateTimeException wrong) {
            throw bad("a moment such as 2026-11-21T13:00:00.000000Z", text);
        }
    }

    /** A time of some wall clock. */
    static TimestampData local(BinaryStringData text, int precision) throws Fault {
        TimestampData quick = canonical(text, precision, false);
        if (quick != null) {
            return quick;
        }
        try {
            String said = text.toString().replace(' ', 'T');
            return cut(LocalDateTime.parse(said).toInstant(ZoneOffset.UTC), precision);
        } catch (DateTimeException wrong) {
            throw bad("a time such as 2026-11-21T13:00:00.000000", text);
        }
    }

    /** Days since 1970. */
    static int date(BinaryStringData text) throws Fault {
        try {
            return (int) LocalDate.parse(text.toString()).toEpochDay();
        } catch (DateTimeException wrong) {
            throw bad("a date such as 2026-11-21", text);
        }
    }

    /** Milliseconds of the day; fractions of a second are cut, as Flink's TIME is whole seconds. */
    static int timeOfDay(BinaryStringData text) throws Fault {
        try {
            return LocalTime.parse(text.toString()).toSecondOfDay() * 1000;
        } catch (DateTimeException wrong) {
            throw bad("a time of day such as 13:00:00", text);
        }
    }

    private static Fault bad(String expected, BinaryStringData text) {
        return new Fault(
                Fault.BAD_TIME, "expected " + expected + ", found " + Fault.excerpt(text.toBytes(), 0));
    }

    private static TimestampData cut(Instant moment, int precision) {
        int nanos = moment.getNano() - moment.getNano() % UNITS[precision];
        return TimestampData.fromEpochMillis(
                moment.getEpochSecond() * 1000 + nanos / 1_000_000, nanos % 1_000_000);
    }

    /** {@code YYYY-MM-DDTHH:MM:SS[.f{1,9}]}, and a Z if `zoned`; null for anything else. */
    private static TimestampData canonical(BinaryStringData said, int precision, boolean zoned) {
        byte[] text = said.toBytes();
        int end = text.length - (zoned ? 1 : 0);
        if (end < 19 || end > 29 || (zoned && text[end] != 'Z') || !isShaped(text, end)) {
            return null;
        }
        int year = digits(text, 0, 4);
        int month = digits(text, 5, 7);
        int day = digits(text, 8, 10);
        int hour = digits(text, 11, 13);
        int minute = digits(text, 14, 16);
        int second = digits(text, 17, 19);
        int nanos = end == 19 ? 0 : digits(text, 20, end) * UNITS[end - 20];
        boolean real =
                (year | hour | minute | second | nanos) >= 0
                        && month >= 1
                        && month <= 12
                        && day >= 1
                        && day <= days(year, month)
                        && hour <= 23
                        && minute <= 59
                        && second <= 59;
        if (!real) {
            return null;
        }
        nanos -= nanos % UNITS[precision];
        int ofDay = ((hour * 60 + minute) * 60 + second) * 1000 + nanos / 1_000_000;
        return TimestampData.fromEpochMillis(
                epochDay(year, month, day) * DAY_MILLIS + ofDay, nanos % 1_000_000);
    }

    private static boolean isShaped(byte[] text, int end) {
        return text[4] == '-'
                && text[7] == '-'
                && text[10] == 'T'
                && text[13] == ':'
                && text[16] == ':'
                && (end == 19 || (text[19] == '.' && end > 20));
    }

    /** A number of digits only; negative when there is anything else. */
    private static int digits(byte[] text, int from, int to) {
        int value = 0;
        for (int i = from; i < to; i++) {
            int digit = text[i] - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            value = value * 10 + digit;
        }
        return value;
    }

    private static int days(int year, int month) {
        boolean leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        return month == 2 && leap ? 29 : MONTH_DAYS[month - 1];
    }

    /** Days since 1970, counting years from March so that the leap day is the last. */
    private static long epochDay(int year, int month, int day) {
        int y = month > 2 ? year : year - 1;
        int m = month > 2 ? month - 3 : month + 9;
        return 365L * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719_469;
    }
}
