/** Prints the planted bugs as a Markdown table, as docs/reliability.md has it: `node test/simulation/planted/table.ts`. */
import { BUGS } from './index.ts';

/** Name, promise, what is wrong, and the properties of which one catches it. */
export function plantedBugsTable(): string {
  const rows = BUGS.map(({ name, promise, what, caughtBy }) => [
    name,
    String(promise),
    what,
    caughtBy.map((property) => `\`${property}\``).join(', '),
  ]);
  const head = ['planted bug', 'promise', 'what the product does wrong', 'caught by'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

if (import.meta.main) process.stdout.write(`${plantedBugsTable()}\n`);
