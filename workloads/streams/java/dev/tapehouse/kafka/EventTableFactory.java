package dev.tapehouse.kafka;

import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.streaming.connectors.kafka.config.BoundedMode;
import org.apache.flink.streaming.connectors.kafka.config.StartupMode;
import org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicSource;
import org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicTableFactory;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.kafka.common.TopicPartition;

/**
 * The connector {@code tapehouse-kafka}: Flink's own Kafka source, whose options it takes, with
 * {@link RecordReader} between records and rows.
 */
public final class EventTableFactory extends KafkaDynamicTableFactory {
    @Override
    public String factoryIdentifier() {
        return "tapehouse-kafka";
    }

    @Override
    protected KafkaDynamicSource createKafkaTableSource(
            DataType physical,
            DecodingFormat<DeserializationSchema<RowData>> keyFormat,
            DecodingFormat<DeserializationSchema<RowData>> valueFormat,
            int[] keyProjection,
            int[] valueProjection,
            String keyPrefix,
            List<String> topics,
            Pattern topicPattern,
            Properties properties,
            StartupMode startup,
            Map<TopicPartition, Long> startupOffsets,
            long startupTime,
            BoundedMode bounded,
            Map<TopicPartition, Long> boundedOffsets,
            long boundedTime,
            String table,
            Integer parallelism) {
        if (keyFormat != null || topicPattern != null) {
            throw new ValidationException("key.format, topic-pattern: not taken; name the topic");
        }
        return new EventTable(physical, valueFormat, valueProjection, topics, properties, startup, bounded, table, parallelism);
    }
}
