/**
 * Waits until the program stands still: no promise job is left to run. Only then may the scheduler choose what happens
 * next, so that the speed of the machine never decides an order. Nothing runs in threads here (no-threads.ts), so a turn
 * of the event loop, before which all promise jobs run to the end, is enough; two, for code that takes a turn itself.
 */
export async function untilQuiet(): Promise<void> {
  await turn();
  await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
