// The component: what the host calls. The imports are those of wit/plugin.wit.

import { log } from 'grepx:plugin/log@1.0.0';
import { inputSchema, outputSchema, tabulate } from './tabulate.js';
import { fromBytes, toBytes } from './utf8.js';

export const describe = {
  describe: () => [
    {
      kind: 'tabulate',
      version: '0.1.0',
      summary: 'Groups rows by a column, counts them and adds up another one',
      inputSchema: toBytes(inputSchema),
      outputSchema: toBytes(outputSchema),
      capabilities: [],
      stateVersions: undefined,
      meta: [],
    },
  ],
};

export const activity = {
  run(kind, ctx, input) {
    const { kwargs, config } = fromBytes(input);
    log('info', `${kwargs.rows.length} rows in attempt ${ctx.attempt}`);
    try {
      return toBytes(tabulate(kwargs.rows, config));
    } catch (problem) {
      if (!(problem instanceof RangeError)) throw problem;
      // What is thrown with a payload is the error of the contract.
      throw Object.assign(problem, {
        payload: { class: 'invalid-input', code: 'invalid-input', message: problem.message },
      });
    }
  },
};
