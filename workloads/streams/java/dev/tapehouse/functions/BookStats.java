package dev.tapehouse.functions;

import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.functions.ScalarFunction;
import org.apache.flink.types.Row;

/**
 * {@code BOOK_STATS(bids, asks)}: what an order-book snapshot says at a glance.
 *
 * <p>Prices in USD, depths in shares over all levels; imbalance in -1 … 1, positive when more is
 * bid. Spread, mid price and imbalance are null where a side is empty (imbalance: both).
 */
public class BookStats extends ScalarFunction {
    private static final String LEVELS = "ARRAY<ROW<price DOUBLE, quantity BIGINT, order_count INT>>";
    private static final String STATS =
            "ROW<best_bid_price DOUBLE, best_bid_qty BIGINT, best_ask_price DOUBLE, best_ask_qty BIGINT, "
                    + "bid_depth BIGINT, ask_depth BIGINT, spread DOUBLE, mid_price DOUBLE, imbalance DOUBLE>";

    @DataTypeHint(STATS)
    public Row eval(@DataTypeHint(LEVELS) Row[] bids, @DataTypeHint(LEVELS) Row[] asks) {
        Side bid = Side.of(bids, true);
        Side ask = Side.of(asks, false);
        boolean both = bid.price != null && ask.price != null;
        long total = bid.depth + ask.depth;
        return Row.of(
                bid.price,
                bid.quantity,
                ask.price,
                ask.quantity,
                bid.depth,
                ask.depth,
                both ? ask.price - bid.price : null,
                both ? (ask.price + bid.price) / 2 : null,
                total > 0 ? (double) (bid.depth - ask.depth) / total : null);
    }

    /** The best level of one side, and its whole depth. */
    private static final class Side {
        Double price;
        Long quantity;
        long depth;

        static Side of(Row[] levels, boolean highest) {
            Side side = new Side();
            for (Row level : levels == null ? new Row[0] : levels) {
                side.take(level, highest);
            }
            return side;
        }

        private void take(Row level, boolean highest) {
            Double levelPrice = level == null ? null : level.getFieldAs(0);
            Long levelQuantity = level == null ? null : level.getFieldAs(1);
            if (levelPrice == null || levelQuantity == null || levelQuantity <= 0) {
                return;
            }
            depth += levelQuantity;
            if (price == null || (highest ? levelPrice > price : levelPrice < price)) {
                price = levelPrice;
                quantity = levelQuantity;
            }
        }
    }
}
