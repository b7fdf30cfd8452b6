package dev.tapehouse.json;

import java.io.Serializable;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.TimestampType;

/** Reads one JSON value, which is not null, as Flink's internal form of a SQL type. */
@FunctionalInterface
interface Converter extends Serializable {
    Object read(Cursor in) throws Fault;

    /** Null, or what {@link #read} makes of it. */
    default Object orNull(Cursor in) throws Fault {
        return in.isNull() ? null : read(in);
    }

    /**
     * The converter of a type.
     *
     * @throws ValidationException no event's field has this type
     */
    static Converter of(LogicalType type) {
        return switch (type.getTypeRoot()) {
            case BOOLEAN -> Cursor::bool;
            case INTEGER -> Converter::integer;
            case BIGINT -> Cursor::integer;
            case FLOAT -> Converter::single;
            case DOUBLE -> Cursor::real;
            case CHAR, VARCHAR -> Cursor::string;
            case BINARY, VARBINARY -> Converter::bytes;
            case DECIMAL -> decimal((DecimalType) type);
            case DATE -> in -> Times.date(in.string());
            case TIME_WITHOUT_TIME_ZONE -> in -> Times.timeOfDay(in.string());
            case TIMESTAMP_WITHOUT_TIME_ZONE -> local(((TimestampType) type).getPrecision());
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> moment(((LocalZonedTimestampType) type).getPrecision());
            case ROW -> new RowReader((RowType) type);
            case ARRAY -> array(of(((ArrayType) type).getElementType()));
            case MAP -> map(((MapType) type).getKeyType(), of(((MapType) type).getValueType()));
            default -> throw new ValidationException(JsonFormatFactory.NAME + " does not read " + type);
        };
    }

    private static Object integer(Cursor in) throws Fault {
        long value = in.integer();
        if (value != (int) value) {
            throw new Fault(Fault.WRONG_TYPE, value + " does not fit 32 bits");
        }
        return (int) value;
    }

    private static Object single(Cursor in) throws Fault {
        double value = in.real();
        if (Float.isInfinite((float) value)) {
            throw new Fault(Fault.RULE, value + " does not fit 32 bits");
        }
        return (float) value;
    }

    private static Object bytes(Cursor in) throws Fault {
        try {
            return Base64.getDecoder().decode(in.string().toBytes());
        } catch (IllegalArgumentException wrong) {
            throw new Fault(Fault.WRONG_TYPE, "expected base64: " + wrong.getMessage());
        }
    }

    private static Converter decimal(DecimalType type) {
        return in -> {
            BigDecimal value = in.decimal();
            DecimalData fitting =
                    DecimalData.fromBigDecimal(value, type.getPrecision(), type.getScale());
            if (fitting == null) {
                throw new Fault(Fault.WRONG_TYPE, value + " does not fit " + type.asSummaryString());
            }
            return fitting;
        };
    }

    private static Converter moment(int precision) {
        return in -> Times.moment(in.string(), precision);
    }

    private static Converter local(int precision) {
        return in -> Times.local(in.string(), precision);
    }

    private static Converter array(Converter element) {
        return in -> {
            if (!in.take('[')) {
                throw in.unexpected("a list");
            }
            List<Object> elements = new ArrayList<>();
            if (!in.take(']')) {
                do {
                    elements.add(element.orNull(in));
                } while (in.take(','));
                in.expect(']');
            }
            return new GenericArrayData(elements.toArray());
        };
    }

    private static Converter map(LogicalType keyType, Converter value) {
        return in -> {
            if (!in.take('{')) {
                throw in.unexpected("an object");
            }
            Map<Object, Object> entries = new HashMap<>();
            if (!in.take('}')) {
                do {
                    Object key = key(keyType, in.string());
                    in.expect(':');
                    entries.put(key, value.orNull(in));
                } while (in.take(','));
                in.expect('}');
            }
            return new GenericMapData(entries);
        };
    }

    private static Object key(LogicalType type, BinaryStringData name) throws Fault {
        return switch (type.getTypeRoot()) {
            case INTEGER, BIGINT -> {
                Cursor inside = new Cursor();
                inside.reset(name.toBytes());
                Object number = of(type).read(inside);
                inside.end();
                yield number;
            }
            case DATE -> Times.date(name);
            default -> name;
        };
    }
}
