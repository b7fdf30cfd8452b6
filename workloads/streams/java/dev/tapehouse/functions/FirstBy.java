package dev.tapehouse.functions;

/** {@code FIRST_BY(value, time, sequence)}: the earliest value of a group. */
public class FirstBy extends PickBy {
    @Override
    protected boolean replaces(int comparison) {
        return comparison > 0;
    }
}
