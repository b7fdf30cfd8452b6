package dev.tapehouse.functions;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * A dimension from a file, for replays: on each line the {@code key} of a version, {@code from} and
 * {@code to} when it holds (null: always, still) and its attributes in {@code row}.
 */
final class DimensionFile {
    private static final ObjectMapper JSON = new ObjectMapper();

    private DimensionFile() {}

    static Dimension read(Path file) throws IOException {
        Dimension dimension = new Dimension();
        for (String line : Files.readAllLines(file)) {
            JsonNode version = JSON.readTree(line);
            String key = text(version.get("key"));
            if (key != null) {
                dimension.add(key, version(version));
            }
        }
        return dimension;
    }

    private static Dimension.Version version(JsonNode node) {
        Map<String, String> attributes = new HashMap<>();
        node.get("row").properties().forEach(each -> attributes.put(each.getKey(), text(each.getValue())));
        return new Dimension.Version(instant(node.get("from")), instant(node.get("to")), attributes);
    }

    private static Instant instant(JsonNode node) {
        String text = text(node);
        return text == null ? null : Instant.parse(text);
    }

    private static String text(JsonNode node) {
        return node == null || node.isNull() ? null : node.asText();
    }
}
