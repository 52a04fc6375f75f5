#!/usr/bin/env node
/** The command `moraine`. */
import { main } from './program.ts';

// The reader of a pipe may have seen enough (`moraine archives | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

await main(process.argv.slice(2));
