package dev.tapehouse.functions;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.Table;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.data.IcebergGenerics;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.exceptions.NoSuchNamespaceException;
import org.apache.iceberg.exceptions.NoSuchTableException;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.types.Types;

/**
 * {@code DIM_AS_OF('dim.dim_symbol', key, time)}: a dimension's attributes, by name, as they were.
 *
 * <p>The dimension is small and kept in memory; a new snapshot on its main branch is taken in
 * within {@link #RELOAD_MILLIS}. The key is the table's identifier field, or its first column.
 * Columns {@code valid_from} and {@code valid_to} bound a version where the table has them. Null
 * for an unknown key or a time without a version. The catalog's address and prefix come from the
 * job parameters {@code tapehouse.catalog.uri} and {@code tapehouse.catalog.prefix}; a replay has
 * its dimensions in the directory {@code tapehouse.dimensions} instead.
 */
public class DimAsOf extends ScalarFunction {
    static final long RELOAD_MILLIS = 10_000;
    private static final String FROM = "valid_from";
    private static final String TO = "valid_to";

    private transient Catalog catalog;
    private transient String prefix;
    private transient String replayed;
    private transient Map<String, Loaded> loaded;

    /** A dimension as of one snapshot; `checked` is when that was last known to be the newest. */
    private record Loaded(Dimension dimension, long snapshot, long checked) {}

    @Override
    public void open(FunctionContext context) {
        String uri = context.getJobParameter("tapehouse.catalog.uri", "");
        prefix = context.getJobParameter("tapehouse.catalog.prefix", "");
        replayed = context.getJobParameter("tapehouse.dimensions", "");
        loaded = new ConcurrentHashMap<>();
        if (!replayed.isEmpty()) {
            return;
        }
        Map<String, String> properties =
                Map.of("type", "rest", "uri", uri, "client.pool-size", "1");
        catalog = CatalogUtil.buildIcebergCatalog("lake", properties, new org.apache.hadoop.conf.Configuration());
    }

    @Override
    public boolean isDeterministic() {
        return false; // the table may have changed between two calls
    }

    public @DataTypeHint("MAP<STRING, STRING>") Map<String, String> eval(
            String table, String key, @DataTypeHint("TIMESTAMP_LTZ(6)") Instant time) {
        return dimension(table).asOf(key, time);
    }

    private Dimension dimension(String name) {
        Loaded known = loaded.get(name);
        if (!replayed.isEmpty()) {
            return known == null ? recorded(name) : known.dimension();
        }
        long now = System.currentTimeMillis();
        if (known == null || now - known.checked() >= RELOAD_MILLIS) {
            known = refresh(name, known, now);
            loaded.put(name, known);
        }
        return known.dimension();
    }

    private Dimension recorded(String name) {
        try {
            Dimension dimension = DimensionFile.read(Path.of(replayed, name + ".jsonl"));
            loaded.put(name, new Loaded(dimension, -1, 0));
            return dimension;
        } catch (IOException failed) {
            throw new UncheckedIOException(failed);
        }
    }

    private Loaded refresh(String name, Loaded known, long now) {
        try {
            Table table = catalog.loadTable(TableIdentifier.parse(prefix + name));
            var head = table.currentSnapshot();
            long snapshot = head == null ? -1 : head.snapshotId();
            boolean same = known != null && known.snapshot() == snapshot;
            return new Loaded(same ? known.dimension() : load(table), snapshot, now);
        } catch (NoSuchTableException | NoSuchNamespaceException missing) {
            return new Loaded(new Dimension(), -1, now);
        } catch (RuntimeException unreachable) {
            if (known == null) {
                throw unreachable; // the job restarts rather than write rows without attributes
            }
            return new Loaded(known.dimension(), known.snapshot(), now);
        }
    }

    private static Dimension load(Table table) {
        Dimension dimension = new Dimension();
        String key = keyOf(table);
        try (CloseableIterable<Record> rows = IcebergGenerics.read(table).build()) {
            for (Record row : rows) {
                Object value = row.getField(key);
                if (value != null) {
                    dimension.add(value.toString(), version(row));
                }
            }
        } catch (IOException failed) {
            throw new UncheckedIOException(failed);
        }
        return dimension;
    }

    private static String keyOf(Table table) {
        return table.schema().identifierFieldNames().stream()
                .filter(name -> !name.equals(FROM))
                .findFirst()
                .orElse(table.schema().columns().get(0).name());
    }

    private static Dimension.Version version(Record row) {
        Map<String, String> attributes = new HashMap<>();
        for (Types.NestedField field : row.struct().fields()) {
            Object value = row.getField(field.name());
            attributes.put(field.name(), value == null ? null : value.toString());
        }
        return new Dimension.Version(instant(row, FROM), instant(row, TO), attributes);
    }

    private static Instant instant(Record row, String name) {
        Object value = row.struct().field(name) == null ? null : row.getField(name);
        return value instanceof OffsetDateTime time ? time.toInstant() : null;
    }
}
