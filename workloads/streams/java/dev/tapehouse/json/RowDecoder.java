package dev.tapehouse.json;

import java.util.Arrays;
import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.RowType;

/**
 * Bytes to a row, always: of bytes that are no such row, all but the metadata is null.
 *
 * <p>After the fields come the metadata columns that are asked for, in their order.
 */
public final class RowDecoder implements DeserializationSchema<RowData> {
    static final String FAULTS = "tapehouseFaults";
    /** What a dead-letter topic takes whole, and what is kept of anything larger. */
    private static final int LARGEST = 10 * 1024 * 1024;
    private static final int CUT = 900_000;

    private final RowReader fields;
    private final int arity;
    private final List<Metadata> metadata;
    private final TypeInformation<RowData> type;

    private transient Cursor cursor;
    private transient Counter faults;

    /** Metadata of a record that a row can contain. */
    enum Metadata {
        /** The record's value as it is, or the first of it; null if it has none. */
        RAW,
        /** How many bytes the value has, if that is more than `RAW` has. */
        TRUNCATED,
        /** Why the value is no row; null if it is one. */
        REASON,
        /** The reason in words. */
        DETAIL;

        private Object of(byte[] message, Fault fault) {
            boolean large = message != null && message.length > LARGEST;
            return switch (this) {
                case RAW -> large ? Arrays.copyOf(message, CUT) : message;
                case TRUNCATED -> large ? text(Integer.toString(message.length)) : null;
                case REASON -> fault == null ? null : text(fault.reason);
                case DETAIL -> fault == null ? null : text(fault.getMessage());
            };
        }

        private static StringData text(String value) {
            return StringData.fromString(value);
        }
    }

    public RowDecoder(RowType fields, List<Metadata> metadata, TypeInformation<RowData> type) {
        this.fields = new RowReader(fields);
        this.arity = fields.getFieldCount();
        this.metadata = metadata;
        this.type = type;
    }

    @Override
    public void open(InitializationContext context) {
        faults = context.getMetricGroup().counter(FAULTS);
    }

    @Override
    public RowData deserialize(byte[] message) {
        return decode(message, 0);
    }

    /** The row of a message, with {@code room} for as many more columns at its end. */
    public GenericRowData decode(byte[] message, int room) {
        Fault fault = null;
        GenericRowData row = new GenericRowData(arity + metadata.size() + room);
        try {
            read(message, row);
        } catch (Fault found) {
            fault = found;
            row = new GenericRowData(row.getArity()); // without what was read before
            if (faults != null) {
                faults.inc();
            }
        }
        for (int i = 0; i < metadata.size(); i++) {
            row.setField(arity + i, metadata.get(i).of(message, fault));
        }
        return row;
    }

    private void read(byte[] message, GenericRowData row) throws Fault {
        if (message == null) {
            throw new Fault(Fault.MISSING, "the record has no value");
        }
        if (cursor == null) {
            cursor = new Cursor();
        }
        cursor.reset(message);
        try {
            if (cursor.peek() != '{') {
                cursor.skip();
                cursor.end();
                throw new Fault(Fault.NOT_AN_OBJECT, "found " + Fault.excerpt(message, 0));
            }
            fields.read(cursor, row);
            cursor.end();
        } catch (IndexOutOfBoundsException end) {
            cursor.checkUtf8();
            throw new Fault(Fault.NOT_JSON, "the text ends too early, after " + message.length + " bytes");
        } catch (Fault fault) {
            cursor.checkUtf8(); // the deeper trouble, and then the cause of this one
            throw fault;
        }
    }

    @Override
    public boolean isEndOfStream(RowData row) {
        return false;
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return type;
    }
}
