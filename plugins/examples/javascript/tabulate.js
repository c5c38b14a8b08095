// Groups rows by a column: plain JavaScript that knows nothing of components, so that
// `node --test` tests it.

export const inputSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['kwargs', 'config'],
  properties: {
    kwargs: {
      type: 'object',
      required: ['rows'],
      properties: { rows: { type: 'array', items: { type: 'object' } } },
    },
    config: {
      type: 'object',
      additionalProperties: false,
      required: ['by'],
      properties: {
        by: { type: 'string', minLength: 1, description: 'The column to group by' },
        sum: { type: 'string', minLength: 1, description: 'A column of numbers to add up' },
      },
    },
  },
};

export const outputSchema = {
  type: 'array',
  items: {
    type: 'object',
    required: ['group', 'count'],
    properties: { group: {}, count: { type: 'integer' }, sum: { type: 'number' } },
  },
};

/** Throws a RangeError with a sentence for people. */
export function tabulate(rows, { by, sum }) {
  const groups = new Map();
  rows.forEach((row, place) => {
    if (!(by in row)) throw new RangeError(`kwargs.rows[${place}] has no column ${JSON.stringify(by)}`);
    const key = JSON.stringify(row[by]);
    const group = groups.get(key) ?? { group: row[by], count: 0, ...(sum && { sum: 0 }) };
    group.count += 1;
    if (sum) {
      if (typeof row[sum] !== 'number') {
        throw new RangeError(`kwargs.rows[${place}].${sum} is ${JSON.stringify(row[sum])}, not a number`);
      }
      group.sum += row[sum];
    }
    groups.set(key, group);
  });
  return [...groups.values()];
}
