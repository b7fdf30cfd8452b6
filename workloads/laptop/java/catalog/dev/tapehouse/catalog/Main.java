package dev.tapehouse.catalog;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * Serves Apache Iceberg's reference REST catalog on one loopback address, with its tables listed in
 * an SQLite file. There is no authentication, so any other address is refused.
 */
public final class Main {
  private static final List<String> OPTIONS = List.of("host", "port", "database", "warehouse");
  private static final int BUSY_TIMEOUT_MS = 30_000;

  private Main() {}

  public static void main(String[] args) throws Exception {
    try {
      Map<String, String> options = parse(args);
      serve(options).join();
    } catch (IllegalArgumentException | IOException e) {
      System.err.println("catalog: " + e.getMessage());
      System.exit(2);
    }
  }

  private static Map<String, String> parse(String[] args) {
    Map<String, String> options = new HashMap<>();
    for (int i = 0; i < args.length; i += 2) {
      String name = args[i].startsWith("--") ? args[i].substring(2) : "";
      if (!OPTIONS.contains(name) || i + 1 == args.length) {
        throw new IllegalArgumentException(
            args[i] + ": expected --host A --port N --database FILE --warehouse DIR");
      }
      options.put(name, args[i + 1]);
    }
    for (String name : OPTIONS) {
      if (!options.containsKey(name)) {
        throw new IllegalArgumentException("--" + name + ": missing");
      }
    }
    return options;
  }

  private static Server serve(Map<String, String> options) throws Exception {
    InetAddress address = InetAddress.getByName(options.get("host"));
    if (!address.isLoopbackAddress()) {
      throw new IllegalArgumentException(
          "--host " + options.get("host") + ": not a loopback address; the catalog has no passwords");
    }
    Server server = new Server(new QueuedThreadPool(24, 4));
    ServerConnector connector = new ServerConnector(server, 1, 1);
    connector.setHost(address.getHostAddress());
    connector.setPort(Integer.parseInt(options.get("port")));
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    Catalog catalog = catalog(Path.of(options.get("database")), Path.of(options.get("warehouse")));
    context.addServlet(
        new ServletHolder(new RESTCatalogServlet(new RESTCatalogAdapter(catalog))), "/*");
    server.setHandler(context);
    server.setStopAtShutdown(true);
    server.start();
    return server;
  }

  private static Catalog catalog(Path database, Path warehouse) throws IOException {
    Files.createDirectories(database.toAbsolutePath().getParent());
    Files.createDirectories(warehouse);
    // A writer waits for another instead of failing: a busy error would look like a lost commit.
    String uri =
        "jdbc:sqlite:" + database.toAbsolutePath()
            + "?journal_mode=WAL&synchronous=FULL&busy_timeout=" + BUSY_TIMEOUT_MS;
    Map<String, String> properties =
        Map.of(
            CatalogProperties.CATALOG_IMPL, JdbcCatalog.class.getName(),
            CatalogProperties.URI, uri,
            CatalogProperties.WAREHOUSE_LOCATION, warehouse.toUri().toString(),
            CatalogProperties.FILE_IO_IMPL, "org.apache.iceberg.hadoop.HadoopFileIO",
            "jdbc.schema-version", "V1");
    Configuration files = new Configuration();
    // Without this every file gets a .crc file beside it that nothing here reads.
    files.set("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem");
    return CatalogUtil.buildIcebergCatalog("tapehouse", properties, files);
  }
}
