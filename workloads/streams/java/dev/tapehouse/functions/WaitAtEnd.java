package dev.tapehouse.functions;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * {@code WAIT_AT_END(input, ended, millis)}: for replays of bounded inputs. False, after a while,
 * for the row that ends an input; true for every other one.
 *
 * <p>Flink drops what processing-time windows hold when their input ends. An input that stays open
 * a little longer than they last, counted from when the whole job runs, lets them close. However
 * many statements read the input, it waits once.
 */
public class WaitAtEnd extends ScalarFunction {
    private static final Map<String, Long> ENDS = new ConcurrentHashMap<>();
    private static final CountDownLatch RUNNING = new CountDownLatch(1);

    /** Every task of the job runs; called from the program that started it, in the same JVM. */
    public static void running() {
        RUNNING.countDown();
    }

    @Override
    public boolean isDeterministic() {
        return false; // never to be computed while planning
    }

    public boolean eval(String input, boolean ended, int millis) throws InterruptedException {
        if (ended && millis > 0) {
            RUNNING.await();
            long until = ENDS.computeIfAbsent(input, name -> System.currentTimeMillis() + millis);
            Thread.sleep(Math.max(0, until - System.currentTimeMillis()));
        }
        return !ended;
    }
}
