package dev.tapehouse.functions;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/** A small dimension in memory: the versions of each key, by the time from which they hold. */
final class Dimension {
    /** One version: its attributes hold from `from` (null: always) until before `to` (null: still). */
    record Version(Instant from, Instant to, Map<String, String> attributes) {}

    private final Map<String, TreeMap<Instant, Version>> versions = new HashMap<>();

    void add(String key, Version version) {
        Instant from = version.from() == null ? Instant.MIN : version.from();
        versions.computeIfAbsent(key, k -> new TreeMap<>()).put(from, version);
    }

    /** The attributes of `key` as of `time`, or null where there are none. */
    Map<String, String> asOf(String key, Instant time) {
        TreeMap<Instant, Version> all = key == null ? null : versions.get(key);
        var entry = all == null || time == null ? null : all.floorEntry(time);
        if (entry == null) {
            return null;
        }
        Version version = entry.getValue();
        return version.to() == null || time.isBefore(version.to()) ? version.attributes() : null;
    }

    int size() {
        return versions.values().stream().mapToInt(TreeMap::size).sum();
    }
}
