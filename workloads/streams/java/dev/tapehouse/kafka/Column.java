package dev.tapehouse.kafka;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** Metadata of a record that a row can contain: Flink's own columns, and single headers. */
enum Column {
    TOPIC("topic", DataTypes.STRING().notNull(), record -> StringData.fromString(record.topic())),
    PARTITION("partition", DataTypes.INT().notNull(), ConsumerRecord::partition),
    OFFSET("offset", DataTypes.BIGINT().notNull(), ConsumerRecord::offset),
    TIMESTAMP(
            "timestamp",
            DataTypes.TIMESTAMP_WITH_LOCAL_TIME_ZONE(3).notNull(),
            record -> TimestampData.fromEpochMillis(record.timestamp())),
    /** A map of every header: a fifth of the work on a record, so only for who asks for it. */
    HEADERS(
            "headers",
            DataTypes.MAP(DataTypes.STRING().notNull(), DataTypes.BYTES().notNull()).notNull(),
            Column::headers),
    EVENT_TYPE("header.event_type", DataTypes.STRING(), record -> header(record, "event_type")),
    TRACE_ID("header.trace_id", DataTypes.STRING(), record -> header(record, "trace_id"));

    final String key;
    final DataType type;
    private final Function<ConsumerRecord<byte[], byte[]>, Object> value;

    Column(String key, DataType type, Function<ConsumerRecord<byte[], byte[]>, Object> value) {
        this.key = key;
        this.type = type;
        this.value = value;
    }

    Object of(ConsumerRecord<byte[], byte[]> record) {
        return value.apply(record);
    }

    static Column of(String key) {
        return Stream.of(values())
                .filter(column -> column.key.equals(key))
                .findFirst()
                .orElseThrow(() -> new ValidationException("no metadata column " + key));
    }

    private static Object headers(ConsumerRecord<byte[], byte[]> record) {
        Map<StringData, byte[]> headers = new HashMap<>();
        for (Header header : record.headers()) {
            headers.put(StringData.fromString(header.key()), header.value());
        }
        return new GenericMapData(headers);
    }

    private static StringData header(ConsumerRecord<byte[], byte[]> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null || header.value() == null ? null : text(header.value());
    }

    /** Bytes that are no UTF-8 must not get into files as text. */
    private static StringData text(byte[] bytes) {
        for (byte each : bytes) {
            if (each < 0) {
                return StringData.fromString(new String(bytes, StandardCharsets.UTF_8));
            }
        }
        return StringData.fromBytes(bytes);
    }
}
