import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tabulate } from './tabulate.js';
import { fromBytes, toBytes } from './utf8.js';

const rows = [
  { city: 'Ulm', n: 1 },
  { city: 'Bonn', n: 2 },
  { city: 'Ulm', n: 4 },
];

test('rows are grouped in the order in which groups appear', () => {
  assert.deepEqual(tabulate(rows, { by: 'city', sum: 'n' }), [
    { group: 'Ulm', count: 2, sum: 5 },
    { group: 'Bonn', count: 1, sum: 2 },
  ]);
  assert.deepEqual(tabulate([], { by: 'city' }), []);
});

test('a row that does not fit is named', () => {
  assert.throws(() => tabulate(rows, { by: 'town' }), /rows\[0\] has no column "town"/);
  assert.throws(() => tabulate([{ city: 1, n: 'x' }], { by: 'city', sum: 'n' }), /rows\[0\]\.n is "x"/);
});

test('documents survive without TextEncoder', () => {
  const document = { text: 'größer → 🐘'.repeat(5000) };
  const kept = [globalThis.TextEncoder, globalThis.TextDecoder];
  const native = toBytes(document);
  [globalThis.TextEncoder, globalThis.TextDecoder] = [undefined, undefined];
  try {
    assert.deepEqual(toBytes(document), native);
    assert.deepEqual(fromBytes(native), document);
  } finally {
    [globalThis.TextEncoder, globalThis.TextDecoder] = kept;
  }
});
