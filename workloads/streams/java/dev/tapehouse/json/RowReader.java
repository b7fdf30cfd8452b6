package dev.tapehouse.json;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.stream.IntStream;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;

/** Reads an object as a row: members by name, unknown ones passed over, missing ones null. */
final class RowReader implements Converter {
    private final byte[][] names;
    private final Converter[] fields;
    /** Which field followed which the last time: writers keep their order. */
    private final int[] next;

    RowReader(RowType type) {
        names = type.getFieldNames().stream().map(x -> x.getBytes(UTF_8)).toArray(byte[][]::new);
        List<LogicalType> types = type.getChildren();
        fields = types.stream().map(Converter::of).toArray(Converter[]::new);
        next = IntStream.rangeClosed(0, fields.length).toArray();
    }

    @Override
    public Object read(Cursor in) throws Fault {
        GenericRowData row = new GenericRowData(fields.length);
        if (in.peek() != '{') {
            throw in.unexpected("an object");
        }
        read(in, row);
        return row;
    }

    /** Reads an object into the first fields of `row`. */
    void read(Cursor in, GenericRowData row) throws Fault {
        in.expect('{');
        if (in.take('}')) {
            return;
        }
        int before = 0; // 0 for the beginning, else one more than a field
        do {
            int field = field(in, next[before]);
            in.expect(':');
            if (field < 0) {
                in.skip();
                continue;
            }
            next[before] = field;
            before = field + 1;
            try {
                row.setField(field, fields[field].orNull(in));
            } catch (Fault fault) {
                throw fault.reason.equals(Fault.NOT_JSON) ? fault : within(field, fault);
            }
        } while (in.take(','));
        in.expect('}');
    }

    /** Passes a name; the field it names, or -1. */
    private int field(Cursor in, int likely) throws Fault {
        in.peek();
        if (likely < names.length && in.takeName(names[likely])) {
            return likely;
        }
        for (int i = 0; i < names.length; i++) {
            if (in.takeName(names[i])) {
                return i;
            }
        }
        BinaryStringData name = in.string();
        for (int i = 0; i < names.length; i++) {
            if (name.equals(BinaryStringData.fromBytes(names[i]))) {
                return i;
            }
        }
        return -1;
    }

    private Fault within(int field, Fault fault) {
        return new Fault(fault.reason, new String(names[field], UTF_8) + ": " + fault.getMessage());
    }
}
