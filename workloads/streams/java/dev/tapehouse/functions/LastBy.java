package dev.tapehouse.functions;

/** {@code LAST_BY(value, time, sequence)}: the latest value of a group. */
public class LastBy extends PickBy {
    @Override
    protected boolean replaces(int comparison) {
        return comparison < 0;
    }
}
