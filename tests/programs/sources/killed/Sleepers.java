/** Threads that compute, sleep and wait until somebody kills them. */
public class Sleepers {
    static volatile long spun;

    public static void main(String[] args) throws Exception {
        final Object lock = new Object();
        for (int i = 0; i < 4; i++) {
            final int kind = i;
            new Thread(() -> {
                try {
                    if (kind == 0) while (true) spun++;
                    if (kind == 1) Thread.sleep(600_000);
                    synchronized (lock) {
                        lock.wait();
                    }
                } catch (InterruptedException error) {
                    System.out.println("interrupted");
                }
            }).start();
        }
        System.out.println("ready");
    }
}
