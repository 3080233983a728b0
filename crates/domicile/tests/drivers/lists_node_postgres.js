// People's lists, written and read with node-postgres by several connections at a time.
'use strict';

const { Client } = require('pg');
const readline = require('readline');

const CONNECTIONS = 3;
const [port, process0, people, seed] = process.argv.slice(2).map(Number);
let phase = 'before';

// Mulberry32, for a run that can be had again.
function drawing(state) {
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below);
  };
}

// Prepared once by its name, bound each time.
async function append(client, person, value) {
  await client.query('BEGIN');
  const updated = await client.query({
    name: 'append',
    text: "UPDATE users SET list = list || ' ' || $1::text WHERE id = $2 RETURNING list",
    values: [String(value), person],
  });
  await client.query(
    'INSERT INTO appends (id, part, user_id) VALUES ($1, 1, $2), ($1, 2, $2)',
    [value, person],
  );
  await client.query('COMMIT');
  return updated.rows[0].list;
}

// One text of several statements; their values are literals.
async function appendAtOnce(client, person, value) {
  const results = await client.query(
    `UPDATE users SET list = list || ' ${value}' WHERE id = ${person} RETURNING list; ` +
      `INSERT INTO appends (id, part, user_id) VALUES (${value}, 1, ${person}), (${value}, 2, ${person})`,
  );
  return results[0].rows[0].list;
}

async function read(client, person) {
  const found = await client.query('SELECT list FROM users WHERE id = $1', [person]);
  return found.rows[0].list;
}

async function readWithRows(client, person) {
  const found = await client.query({
    name: 'rows',
    text: 'SELECT u.list, a.id FROM users u LEFT JOIN appends a ON a.user_id = u.id WHERE u.id = $1',
    values: [person],
  });
  const values = found.rows[0].list.split(' ').filter((word) => word !== '');
  const rows = found.rows.filter((row) => row.id !== null);
  if (rows.length !== 2 * values.length) throw new Error(`${rows.length} rows of ${values.length}`);
  return found.rows[0].list;
}

async function work(number) {
  const draw = drawing(seed * 1000 + number);
  const client = new Client({ host: '127.0.0.1', port, database: 'app', user: 'app', password: 'secret' });
  await client.connect();
  for (let count = 1; phase !== 'end'; count += 1) {
    const value = number * 2 ** 32 + count;
    const person = 1 + draw(people);
    const run = [append, appendAtOnce, read, readWithRows][draw(4)];
    const began = phase;
    const started = process.hrtime.bigint();
    const list = await run(client, person, value);
    const ended = process.hrtime.bigint();
    const appended = run === append || run === appendAtOnce ? value : null;
    process.stdout.write(
      `{"process":${number},"phase":"${began}","started":${started},"ended":${ended},` +
        `"person":${person},"append":${appended},"list":${JSON.stringify(list)}}\n`,
    );
  }
  await client.end();
}

readline.createInterface({ input: process.stdin })
  .on('line', (line) => { phase = line; })
  .on('close', () => { phase = 'end'; });
for (let at = 0; at < CONNECTIONS; at += 1) {
  work(process0 + at).catch((error) => {
    process.stderr.write(`node-postgres: ${error.code} ${error.message}\n`, () => process.exit(1));
  });
}
