package dev.tapehouse.catalog;

import java.util.Map;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.rest.HTTPRequest;
import org.apache.iceberg.rest.HTTPRequest.HTTPMethod;
import org.apache.iceberg.rest.ParserContext;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTResponse;
import org.apache.iceberg.rest.responses.ErrorResponse;

/**
 * The reference adapter, with transactions that no other change gets into.
 *
 * <p>The reference validates the changes of all tables and then commits table by table. A table
 * that changed in between it commits as it found it, without the transaction's change, and answers
 * that all is done. Here a transaction waits until no other change is under way, and others wait
 * for it; everything else goes on side by side.
 */
final class WholeTransactions extends RESTCatalogAdapter {
  private static final String TRANSACTION = "transactions/commit";

  /** Fair, since jobs commit all the time and a transaction would wait for a pause. */
  private final ReadWriteLock changes = new ReentrantReadWriteLock(true);

  WholeTransactions(Catalog catalog) {
    super(catalog);
  }

  @Override
  protected <T extends RESTResponse> T execute(
      HTTPRequest request,
      Class<T> responseType,
      Consumer<ErrorResponse> errorHandler,
      Consumer<Map<String, String>> responseHeaders,
      ParserContext parserContext) {
    if (request.method() == HTTPMethod.GET || request.method() == HTTPMethod.HEAD) {
      return super.execute(request, responseType, errorHandler, responseHeaders, parserContext);
    }
    Lock lock = request.path().endsWith(TRANSACTION) ? changes.writeLock() : changes.readLock();
    lock.lock();
    try {
      return super.execute(request, responseType, errorHandler, responseHeaders, parserContext);
    } finally {
      lock.unlock();
    }
  }
}
