#!/usr/bin/env node
/** The command `moraine`. */
import { enableCompileCache } from 'node:module';

// Most of the time until the first answer is the parsing of libraries: once is enough.
enableCompileCache();

// The reader of a pipe may have seen enough (`moraine archives | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const { main } = await import('./program.ts');
await main(process.argv.slice(2));
