package dev.tapehouse.kafka;

import dev.tapehouse.json.RowDecoder;
import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Converts a record to its row, without a second row for the metadata and without unused columns.
 *
 * <p>The row has the fields of the value, the format's metadata, then {@code columns}.
 */
final class RecordReader implements KafkaRecordDeserializationSchema<RowData> {
    private final RowDecoder decoder;
    private final Column[] columns;
    private final TypeInformation<RowData> type;

    RecordReader(RowDecoder decoder, List<Column> columns, TypeInformation<RowData> type) {
        this.decoder = decoder;
        this.columns = columns.toArray(Column[]::new);
        this.type = type;
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        decoder.open(context);
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<RowData> out) {
        GenericRowData row = decoder.decode(record.value(), columns.length);
        int first = row.getArity() - columns.length;
        for (int i = 0; i < columns.length; i++) {
            row.setField(first + i, columns[i].of(record));
        }
        out.collect(row);
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return type;
    }
}
