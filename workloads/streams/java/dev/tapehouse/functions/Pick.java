package dev.tapehouse.functions;

import java.time.Instant;
import org.apache.flink.table.annotation.DataTypeHint;

/** The value chosen so far, with the time and the sequence number it was chosen by. */
public class Pick {
    public Double value;

    @DataTypeHint("TIMESTAMP_LTZ(6)")
    public Instant time;

    public Long sequence;

    /** Whether nothing has been chosen yet. */
    boolean empty() {
        return time == null;
    }

    /** Less than 0 when this pick comes before (time, sequence); ties by sequence. */
    int compareTo(Instant otherTime, Long otherSequence) {
        int byTime = time.compareTo(otherTime);
        return byTime != 0 ? byTime : Long.compare(order(sequence), order(otherSequence));
    }

    void set(Double newValue, Instant newTime, Long newSequence) {
        value = newValue;
        time = newTime;
        sequence = newSequence;
    }

    private static long order(Long sequence) {
        return sequence == null ? Long.MIN_VALUE : sequence;
    }
}
