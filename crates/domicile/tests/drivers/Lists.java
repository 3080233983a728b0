import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Random;

/** People's lists, written and read with PostgreSQL's JDBC driver by several connections at a time. */
public class Lists {
    private static final int CONNECTIONS = 3;
    private static volatile String phase = "before";

    private interface Act {
        String run(Connection connection, long person, long value) throws SQLException;
    }

    private static String append(Connection connection, long person, long value) throws SQLException {
        connection.setAutoCommit(false);
        String list;
        try (PreparedStatement update = connection.prepareStatement(
                "UPDATE users SET list = list || ' ' || ? WHERE id = ? RETURNING list")) {
            update.setString(1, Long.toString(value));
            update.setLong(2, person);
            list = only(update);
        }
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO appends (id, part, user_id) VALUES (?, ?, ?)")) {
            for (int part = 1; part <= 2; part++) {
                insert.setLong(1, value);
                insert.setInt(2, part);
                insert.setLong(3, person);
                insert.addBatch();
            }
            insert.executeBatch();
        }
        connection.commit();
        connection.setAutoCommit(true);
        return list;
    }

    private static String read(Connection connection, long person, long value) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT list FROM users WHERE id = ?")) {
            select.setLong(1, person);
            return only(select);
        }
    }

    /** The rows come three at a time; there are two for each value of the list. */
    private static String readRows(Connection connection, long person, long value) throws SQLException {
        connection.setAutoCommit(false);
        int rows = 0;
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT id FROM appends WHERE user_id = ? ORDER BY id, part")) {
            select.setFetchSize(3);
            select.setLong(1, person);
            try (ResultSet found = select.executeQuery()) {
                while (found.next()) {
                    rows++;
                }
            }
        }
        String list = read(connection, person, value);
        connection.commit();
        connection.setAutoCommit(true);
        int values = list.isBlank() ? 0 : list.trim().split(" ").length;
        if (rows % 2 != 0 || rows > 2 * values) {
            throw new IllegalStateException(rows + " rows of " + values);
        }
        return list;
    }

    private static String only(PreparedStatement statement) throws SQLException {
        try (ResultSet found = statement.executeQuery()) {
            if (!found.next()) {
                throw new IllegalStateException("nobody");
            }
            return found.getString(1);
        }
    }

    private static void work(String port, long number, int people, long seed) throws SQLException {
        Random draw = new Random(seed * 1000 + number);
        Act[] acts = {Lists::append, Lists::read, Lists::readRows};
        String url = "jdbc:postgresql://127.0.0.1:" + port + "/app";
        try (Connection connection = DriverManager.getConnection(url, "app", "secret")) {
            for (long count = 1; !phase.equals("end"); count++) {
                long value = number << 32 | count;
                long person = 1 + draw.nextInt(people);
                int act = draw.nextInt(acts.length);
                String began = phase;
                long started = System.nanoTime();
                String list = acts[act].run(connection, person, value);
                long ended = System.nanoTime();
                String line = String.format(
                        "{\"process\":%d,\"phase\":\"%s\",\"started\":%d,\"ended\":%d,"
                                + "\"person\":%d,\"append\":%s,\"list\":\"%s\"}\n",
                        number, began, started, ended, person, act == 0 ? value : "null", list);
                synchronized (System.out) {
                    System.out.print(line);
                    System.out.flush();
                }
            }
        }
    }

    public static void main(String[] words) throws Exception {
        Thread[] threads = new Thread[CONNECTIONS];
        for (int at = 0; at < CONNECTIONS; at++) {
            long number = Long.parseLong(words[1]) + at;
            threads[at] = new Thread(() -> {
                try {
                    work(words[0], number, Integer.parseInt(words[2]), Long.parseLong(words[3]));
                } catch (Throwable error) {
                    System.err.println("JDBC: " + error);
                    Runtime.getRuntime().halt(1);
                }
            });
            threads[at].start();
        }
        BufferedReader told = new BufferedReader(new InputStreamReader(System.in));
        for (String line = told.readLine(); line != null; line = told.readLine()) {
            phase = line;
        }
        phase = "end";
        for (Thread thread : threads) {
            thread.join();
        }
    }
}
