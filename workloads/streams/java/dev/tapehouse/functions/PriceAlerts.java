package dev.tapehouse.functions;

import java.time.Instant;
import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/**
 * {@code PRICE_ALERTS(TABLE trades PARTITION BY symbol)}: price movements worth an alert.
 *
 * <p>Reads {@code price} and {@code timestamp}; all times are event times, so a replay alerts as
 * the day itself did. The baseline is the first price of each 300 s; a change of 2 % is MEDIUM, of
 * 5 % HIGH, of 10 % CRITICAL; a symbol is quiet for 60 s after an alert. Trades older than the
 * baseline change nothing.
 */
@FunctionHint(
        output =
                @DataTypeHint(
                        "ROW<severity STRING, direction STRING, price DOUBLE, baseline_price DOUBLE, "
                                + "pct_change DOUBLE, threshold DOUBLE, `timestamp` TIMESTAMP_LTZ(6)>"))
public class PriceAlerts extends ProcessTableFunction<Row> {
    static final long BASELINE_MILLIS = 300_000;
    static final long QUIET_MILLIS = 60_000;
    private static final double[] THRESHOLDS = {10.0, 5.0, 2.0};
    private static final String[] SEVERITIES = {"CRITICAL", "HIGH", "MEDIUM"};

    /** What a symbol's next trade is compared with. */
    public static class Baseline {
        public Double price;
        public Long setAt;
        public Long quietUntil;
    }

    public void eval(
            @StateHint(name = "baseline") Baseline baseline,
            @ArgumentHint(name = "trades", value = ArgumentTrait.SET_SEMANTIC_TABLE) Row trade) {
        Double price = trade.getFieldAs("price");
        Instant time = trade.getFieldAs("timestamp");
        if (price == null || time == null) {
            return;
        }
        Row alert = judge(baseline, price, time);
        if (alert != null) {
            collect(alert);
        }
    }

    /** The alert this trade is worth, or null; moves the baseline on. */
    static Row judge(Baseline baseline, double price, Instant time) {
        long now = time.toEpochMilli();
        if (baseline.price == null || now - baseline.setAt >= BASELINE_MILLIS) {
            baseline.price = price;
            baseline.setAt = now;
            return null;
        }
        boolean quiet = baseline.quietUntil != null && now < baseline.quietUntil;
        if (now < baseline.setAt || quiet) {
            return null;
        }
        double change = (price - baseline.price) / baseline.price * 100;
        for (int i = 0; i < THRESHOLDS.length; i++) {
            if (Math.abs(change) >= THRESHOLDS[i]) {
                baseline.quietUntil = now + QUIET_MILLIS;
                String direction = change > 0 ? "UP" : "DOWN";
                return Row.of(
                        SEVERITIES[i], direction, price, baseline.price, change, THRESHOLDS[i], time);
            }
        }
        return null;
    }
}
