package dev.tapehouse.json;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/**
 * The format {@code tapehouse-json}: events as JSON objects, read by the types they declare.
 *
 * <p>A record that is no such event does not stop the job: its row has nulls for fields, and says
 * why in the metadata columns {@code reason} and {@code detail}, beside {@code raw}, the bytes.
 */
public final class JsonFormatFactory implements DeserializationFormatFactory {
    static final String NAME = "tapehouse-json";

    @Override
    public String factoryIdentifier() {
        return NAME;
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        return new Format();
    }

    private static final class Format implements DecodingFormat<DeserializationSchema<RowData>> {
        private List<RowDecoder.Metadata> metadata = List.of();

        @Override
        public Map<String, DataType> listReadableMetadata() {
            Map<String, DataType> columns = new LinkedHashMap<>();
            Arrays.stream(RowDecoder.Metadata.values()).forEach(x -> columns.put(name(x), type(x)));
            return columns;
        }

        @Override
        public void applyReadableMetadata(List<String> keys) {
            metadata = keys.stream().map(x -> RowDecoder.Metadata.valueOf(x.toUpperCase(Locale.ROOT))).toList();
        }

        @Override
        public DeserializationSchema<RowData> createRuntimeDecoder(
                DynamicTableSource.Context context, DataType physical) {
            Stream<DataTypes.Field> fields =
                    Stream.concat(
                            DataType.getFields(physical).stream(),
                            // No field of an event is called so.
                            metadata.stream().map(x -> DataTypes.FIELD("$" + name(x), type(x))));
            DataType produced = DataTypes.ROW(fields.toList());
            return new RowDecoder(
                    (RowType) physical.getLogicalType(),
                    metadata,
                    context.createTypeInformation(produced));
        }

        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        private static String name(RowDecoder.Metadata column) {
            return column.name().toLowerCase(Locale.ROOT);
        }

        private static DataType type(RowDecoder.Metadata column) {
            return column == RowDecoder.Metadata.RAW ? DataTypes.BYTES() : DataTypes.STRING();
        }
    }
}
