import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** Monitors, executors, timers, interrupts, garbage, faults turned into exceptions, and a child process. */
public class Hello {
    static int turn = 0;

    public static void main(String[] args) throws Exception {
        takeTurns();
        compute();
        timersAndInterrupts();
        for (int round = 0; round < 3; round++) {
            byte[][] garbage = new byte[100][];
            for (int i = 0; i < garbage.length; i++) garbage[i] = new byte[100_000];
            System.gc();
        }
        try {
            Object nothing = null;
            System.out.println(nothing.hashCode());
        } catch (NullPointerException error) {
            System.out.println("null");
        }
        try {
            recurse(0);
        } catch (StackOverflowError error) {
            System.out.println("overflow");
        }
        System.out.println(new ProcessBuilder("sh", "-c", "echo from a child; exit 3").inheritIO().start().waitFor());
    }

    static void takeTurns() throws InterruptedException {
        final Object lock = new Object();
        final StringBuilder order = new StringBuilder();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            final int me = i;
            threads.add(new Thread(() -> {
                for (int round = 0; round < 10; round++) {
                    synchronized (lock) {
                        while (turn % 4 != me) {
                            try {
                                lock.wait();
                            } catch (InterruptedException error) {
                                return;
                            }
                        }
                        order.append(me);
                        turn++;
                        lock.notifyAll();
                    }
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        System.out.println(order);
    }

    static void compute() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> results = new ArrayList<>();
        for (int i = 0; i < 16; i++) {
            final long n = i;
            results.add(pool.submit(() -> {
                long sum = 0;
                for (long k = 0; k < 20_000 * n; k++) sum += k;
                return sum;
            }));
        }
        long total = 0;
        for (Future<Long> result : results) total += result.get();
        pool.shutdown();
        System.out.println(pool.awaitTermination(60, TimeUnit.SECONDS) + " " + total);
        System.out.println(IntStream.range(0, 1000).parallel().mapToLong(x -> x * (long) x).sum());
    }

    static void timersAndInterrupts() throws InterruptedException {
        ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
        CountDownLatch ticks = new CountDownLatch(5);
        timer.scheduleAtFixedRate(ticks::countDown, 1, 5, TimeUnit.MILLISECONDS);
        System.out.println("ticked " + ticks.await(60, TimeUnit.SECONDS));
        timer.shutdownNow();
        Thread sleeper = new Thread(() -> {
            try {
                Thread.sleep(600_000);
            } catch (InterruptedException error) {
                System.out.println("interrupted");
            }
        });
        sleeper.start();
        Thread.sleep(20);
        sleeper.interrupt();
        sleeper.join();
    }

    static int recurse(int depth) {
        return recurse(depth + 1) + 1;
    }
}
