package dev.tapehouse.functions;

import java.time.Instant;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.AggregateFunction;
import org.apache.flink.types.Row;

/**
 * Chooses one value of a group by its time, ties by a sequence number.
 *
 * <p>Gives (value, time, sequence), so that partial results of one minute can be folded later.
 * Rows without value or time are passed over. Null for a group without any.
 */
@FunctionHint(output = @DataTypeHint("ROW<`value` DOUBLE, `time` TIMESTAMP_LTZ(6), `sequence` BIGINT>"))
public abstract class PickBy extends AggregateFunction<Row, Pick> {
    /** Whether (time, sequence) replaces what was chosen; `comparison` is chosen versus new. */
    protected abstract boolean replaces(int comparison);

    @Override
    public Pick createAccumulator() {
        return new Pick();
    }

    public void accumulate(
            Pick pick, Double value, @DataTypeHint("TIMESTAMP_LTZ(6)") Instant time, Long sequence) {
        if (value == null || time == null) {
            return;
        }
        if (pick.empty() || replaces(pick.compareTo(time, sequence))) {
            pick.set(value, time, sequence);
        }
    }

    public void merge(Pick pick, Iterable<Pick> others) {
        for (Pick other : others) {
            accumulate(pick, other.value, other.time, other.sequence);
        }
    }

    @Override
    public Row getValue(Pick pick) {
        return pick.empty() ? null : Row.of(pick.value, pick.time, pick.sequence);
    }
}
