package dev.tapehouse.catalog;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.iceberg.TableMetadata;
import org.apache.iceberg.TableOperations;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.exceptions.NoSuchTableException;
import org.apache.iceberg.io.FileIO;
import org.apache.iceberg.io.LocationProvider;
import org.apache.iceberg.jdbc.JdbcCatalog;

/**
 * Tables listed in an SQL database, whose metadata is read once for each change of it.
 *
 * <p>The library reads a table's metadata file, which grows with every snapshot, whenever anything
 * is asked of the table. Here its operations are kept, one for each table: they ask the database
 * which file is the newest, and read those that they do not know.
 */
final class Tables extends JdbcCatalog {
  private final Map<TableIdentifier, TableOperations> kept = new ConcurrentHashMap<>();

  @Override
  protected TableOperations newTableOps(TableIdentifier identifier) {
    return new Request(kept.computeIfAbsent(identifier, super::newTableOps));
  }

  @Override
  public boolean dropTable(TableIdentifier identifier, boolean purge) {
    try {
      return super.dropTable(identifier, purge);
    } finally {
      kept.remove(identifier);
    }
  }

  @Override
  public void renameTable(TableIdentifier from, TableIdentifier to) {
    try {
      super.renameTable(from, to);
    } finally {
      kept.remove(from);
      kept.remove(to);
    }
  }

  /** What one request sees: the metadata of the moment it came, until it asks for newer. */
  private static final class Request implements TableOperations {
    /** The library's, of all requests for the table: for one at a time. */
    private final TableOperations table;

    private TableMetadata seen;

    Request(TableOperations table) {
      this.table = table;
    }

    @Override
    public TableMetadata current() {
      return seen == null ? refresh() : seen;
    }

    @Override
    public TableMetadata refresh() {
      synchronized (table) {
        try {
          seen = table.refresh();
        } catch (NoSuchTableException dropped) {
          seen = table.refresh(); // it has forgotten the table now, and can say that it is none
        }
      }
      return seen;
    }

    @Override
    public void commit(TableMetadata base, TableMetadata metadata) {
      seen = null;
      synchronized (table) {
        table.commit(base, metadata);
      }
    }

    @Override
    public FileIO io() {
      synchronized (table) {
        return table.io();
      }
    }

    @Override
    public String metadataFileLocation(String name) {
      synchronized (table) {
        return table.metadataFileLocation(name);
      }
    }

    @Override
    public LocationProvider locationProvider() {
      synchronized (table) {
        return table.locationProvider();
      }
    }
  }
}
