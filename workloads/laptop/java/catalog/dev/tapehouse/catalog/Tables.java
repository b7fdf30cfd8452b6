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
  private final Map<TableIdentifier, Kept> kept = new ConcurrentHashMap<>();

  @Override
  protected TableOperations newTableOps(TableIdentifier identifier) {
    return new Request(
        kept.computeIfAbsent(identifier, name -> new Kept(super.newTableOps(name))));
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

  /** The library's operations of one table, for one caller at a time. */
  private static final class Kept {
    private final TableOperations operations;

    Kept(TableOperations operations) {
      this.operations = operations;
    }

    synchronized TableMetadata refresh() {
      try {
        return operations.refresh();
      } catch (NoSuchTableException dropped) {
        return operations.refresh(); // it has forgotten the table now, and can say that it is none
      }
    }

    synchronized void commit(TableMetadata base, TableMetadata metadata) {
      operations.commit(base, metadata);
    }

    synchronized FileIO io() {
      return operations.io();
    }

    synchronized String metadataFileLocation(String name) {
      return operations.metadataFileLocation(name);
    }

    synchronized LocationProvider locationProvider() {
      return operations.locationProvider();
    }
  }

  /** What one request sees: the metadata of the moment it came, until it asks for newer. */
  private static final class Request implements TableOperations {
    private final Kept table;
    private TableMetadata seen;
    private boolean stale = true;

    Request(Kept table) {
      this.table = table;
    }

    @Override
    public TableMetadata current() {
      return stale ? refresh() : seen;
    }

    @Override
    public TableMetadata refresh() {
      seen = table.refresh();
      stale = false;
      return seen;
    }

    @Override
    public void commit(TableMetadata base, TableMetadata metadata) {
      stale = true;
      table.commit(base, metadata);
    }

    @Override
    public FileIO io() {
      return table.io();
    }

    @Override
    public String metadataFileLocation(String name) {
      return table.metadataFileLocation(name);
    }

    @Override
    public LocationProvider locationProvider() {
      return table.locationProvider();
    }
  }
}
