/** The child process of lives.ts: takes a task, runs the life, answers with what came of it; ends when nobody is there any more. */
import type { LifeResult, Task } from './lives.ts';
import { live } from './simulate.ts';
import { randomLife } from './world/random-life.ts';
import type { Scenario } from './world/scenario.ts';

// An error of the product says its code; where it was thrown costs more than all else about it.
Error.stackTraceLimit = 0;

process.on('message', (task: Task) => {
  void resultOf('seed' in task ? randomLife(task.seed) : task.scenario).then((result) => process.send?.(result));
});

async function resultOf(scenario: Scenario): Promise<LifeResult> {
  const acts: Record<string, number> = {};
  for (const { act } of scenario.script) acts[act.what] = (acts[act.what] ?? 0) + 1;
  const { trace: _, said: __, calls, ...came } = await live(scenario);
  const callCount = Object.values(calls).reduce((sum, count) => sum + count, 0);
  return { ...came, calls: callCount, acts };
}
