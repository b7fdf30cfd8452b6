package dev.tapehouse.kafka;

import dev.tapehouse.json.RowDecoder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.connectors.kafka.config.BoundedMode;
import org.apache.flink.streaming.connectors.kafka.config.StartupMode;
import org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicSource;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;

/** A topic read from its beginning, for ever or as far as it goes when the job starts. */
final class EventTable extends KafkaDynamicSource {
    private static final String VALUE_PREFIX = "value.";

    EventTable(
            DataType physical,
            DecodingFormat<DeserializationSchema<RowData>> format,
            int[] projection,
            List<String> topics,
            Properties properties,
            StartupMode startup,
            BoundedMode bounded,
            String table,
            Integer parallelism) {
        super(physical, null, format, new int[0], projection, null, topics, null, properties, startup,
                Map.of(), 0, bounded, Map.of(), 0, false, table, parallelism);
        if (startup != StartupMode.EARLIEST) {
            throw new ValidationException("scan.startup.mode: only earliest-offset; where a job goes on is in its state");
        }
        if (bounded != BoundedMode.UNBOUNDED && bounded != BoundedMode.LATEST) {
            throw new ValidationException("scan.bounded.mode: only unbounded and latest-offset");
        }
    }

    @Override
    public Map<String, DataType> listReadableMetadata() {
        Map<String, DataType> columns = new LinkedHashMap<>(super.listReadableMetadata());
        columns.keySet().removeIf(key -> !key.startsWith(VALUE_PREFIX));
        Stream.of(Column.values()).forEach(column -> columns.put(column.key, column.type));
        return columns;
    }

    @Override
    protected KafkaSource<RowData> createKafkaSource(
            DeserializationSchema<RowData> key, DeserializationSchema<RowData> value, TypeInformation<RowData> type) {
        if (!(value instanceof RowDecoder decoder)) {
            throw new ValidationException("format: only tapehouse-json");
        }
        List<Column> columns = metadataKeys.stream().map(Column::of).toList();
        KafkaSourceBuilder<RowData> source =
                KafkaSource.<RowData>builder()
                        .setTopics(topics)
                        .setStartingOffsets(OffsetsInitializer.earliest())
                        .setProperties(properties)
                        .setDeserializer(new RecordReader(decoder, columns, type));
        if (boundedMode == BoundedMode.LATEST) {
            source.setBounded(OffsetsInitializer.latest());
        }
        return source.build();
    }

    @Override
    public DynamicTableSource copy() {
        EventTable copy = new EventTable(physicalDataType, valueDecodingFormat, valueProjection, topics,
                properties, startupMode, boundedMode, tableIdentifier, parallelism);
        copy.producedDataType = producedDataType;
        copy.metadataKeys = metadataKeys;
        copy.watermarkStrategy = watermarkStrategy;
        return copy;
    }
}
