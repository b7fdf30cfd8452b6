package dev.tapehouse.catalog;

import dev.tapehouse.files.LocalFiles;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * Serves Apache Iceberg's reference REST catalog on one loopback address, with its tables listed in
 * an SQLite file. There is no authentication, so any other address is refused. Settings are
 * CATALOG_HOST, CATALOG_PORT, CATALOG_DATABASE (a file) and CATALOG_WAREHOUSE (a directory).
 */
public final class Main {
  private static final int BUSY_TIMEOUT_MS = 30_000;

  private Main() {}

  public static void main(String[] args) throws Exception {
    try {
      serve(setting("HOST"), setting("PORT"), setting("DATABASE"), setting("WAREHOUSE")).join();
    } catch (IllegalArgumentException | IOException e) {
      System.err.println("catalog: " + e.getMessage());
      System.exit(2);
    }
  }

  private static String setting(String name) {
    String value = System.getenv("CATALOG_" + name);
    if (value == null || value.isEmpty()) {
      throw new IllegalArgumentException("CATALOG_" + name + " is not set in the environment");
    }
    return value;
  }

  private static Server serve(String host, String port, String database, String warehouse)
      throws Exception {
    InetAddress address = InetAddress.getByName(host);
    if (!address.isLoopbackAddress()) {
      throw new IllegalArgumentException(
          "CATALOG_HOST=" + host + ": not a loopback address; this catalog asks nobody's name");
    }
    Server server = new Server(new QueuedThreadPool(24, 4));
    ServerConnector connector = new ServerConnector(server, 1, 1);
    connector.setHost(address.getHostAddress());
    connector.setPort(Integer.parseInt(port));
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    Catalog catalog = catalog(Path.of(database), Path.of(warehouse));
    context.addServlet(
        new ServletHolder(new RESTCatalogServlet(new WholeTransactions(catalog))), "/*");
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
            CatalogProperties.URI, uri,
            CatalogProperties.WAREHOUSE_LOCATION, warehouse.toUri().toString(),
            CatalogProperties.FILE_IO_IMPL, "org.apache.iceberg.hadoop.HadoopFileIO",
            "jdbc.schema-version", "V1");
    Configuration files = new Configuration();
    files.set("fs.file.impl", LocalFiles.class.getName());
    Tables tables = new Tables();
    tables.setConf(files);
    tables.initialize("tapehouse", properties);
    return tables;
  }
}
