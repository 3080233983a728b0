"""People's lists, written and read with psycopg by several connections at a time."""

import json
import os
import random
import sys
import threading
import time

import psycopg

CONNECTIONS = 3
UPDATE = "UPDATE users SET list = list || ' ' || %s::text WHERE id = %s RETURNING list"
INSERT = "INSERT INTO appends (id, part, user_id) VALUES (%s, %s, %s)"

port, process, people, seed = (int(word) for word in sys.argv[1:])
phase = "before"


def append(connection, person, value):
    """One after the other."""
    with connection.transaction():
        (observed,) = connection.execute(UPDATE, (str(value), person)).fetchone()
        connection.cursor().executemany(INSERT, [(value, part, person) for part in (1, 2)])
    return observed


def append_at_once(connection, person, value):
    """Everything is sent before anything is answered."""
    with connection.pipeline(), connection.transaction():
        update = connection.execute(UPDATE, (str(value), person))
        for part in (1, 2):
            connection.execute(INSERT, (value, part, person))
    (observed,) = update.fetchone()
    return observed


def read(connection, person, _):
    found = connection.execute("SELECT list FROM users WHERE id = %s", (person,))
    return found.fetchone()[0]


def read_by_cursor(connection, person, _):
    """The rows are fetched three at a time, and there are two for each value of the list."""
    with connection.transaction(), connection.cursor(name="rows") as cursor:
        cursor.itersize = 3
        cursor.execute("SELECT id FROM appends WHERE user_id = %s ORDER BY id", (person,))
        rows = [number for (number,) in cursor]
        observed = read(connection, person, _)
    assert set(rows[::2]) <= {int(word) for word in observed.split()}, (rows, observed)
    assert rows[::2] == rows[1::2], rows
    return observed


def read_by_copy(connection, person, _):
    query = "COPY (SELECT list FROM users WHERE id = %s) TO STDOUT"
    with connection.cursor().copy(query, (person,)) as copied:
        (row,) = copied.rows()
    return row[0]


def work(number):
    draw = random.Random(seed * 1000 + number)
    count = 0
    address = f"host=127.0.0.1 port={port} dbname=app user=app password=secret"
    with psycopg.connect(address, autocommit=True) as connection:
        while phase != "end":
            count += 1
            value = number << 32 | count
            person = draw.randint(1, people)
            run = draw.choice([append, append_at_once, read, read_by_cursor, read_by_copy])
            began, started = phase, time.monotonic_ns()
            observed = run(connection, person, value)
            done = {
                "process": number,
                "phase": began,
                "started": started,
                "ended": time.monotonic_ns(),
                "person": person,
                "append": value if run in (append, append_at_once) else None,
                "list": observed,
            }
            sys.stdout.write(json.dumps(done) + "\n")
            sys.stdout.flush()


def work_or_end(number):
    try:
        work(number)
    except BaseException as error:
        print(f"psycopg: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


threads = [threading.Thread(target=work_or_end, args=(process + at,)) for at in range(CONNECTIONS)]
for thread in threads:
    thread.start()
for line in sys.stdin:
    phase = line.strip()
phase = "end"
for thread in threads:
    thread.join()
