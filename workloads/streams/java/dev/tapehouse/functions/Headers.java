package dev.tapehouse.functions;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.functions.ScalarFunction;

/** {@code HEADERS('name', text, …)}: a Kafka record's headers, without those that are null. */
public class Headers extends ScalarFunction {
    public @DataTypeHint("MAP<STRING, BYTES>") Map<String, byte[]> eval(String... pairs) {
        Map<String, byte[]> headers = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            if (pairs[i + 1] != null) {
                headers.put(pairs[i], pairs[i + 1].getBytes(UTF_8));
            }
        }
        return headers;
    }
}
