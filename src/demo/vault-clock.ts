/** The clock of the local stack's Glacier emulator. Hours of waiting for the vault pass in a moment. */
import { z } from 'zod';
import { MoraineError } from '../errors.ts';

const answer = z.object({ now: z.string() });

/** `duration` is ISO 8601, `P1D`. Returns the vault's time afterwards. */
export async function advanceVaultClock(endpoint: string, duration: string): Promise<Date> {
  const response = await fetch(new URL('/_emulator/clock', endpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ advance: duration }),
  });
  if (!response.ok)
    throw new MoraineError('STACK_FAILED', `The emulator did not move its clock: HTTP ${response.status}.`);
  return new Date(answer.parse(await response.json()).now);
}

/** Drops the vaults that earlier demos left. */
export async function dropDemoVaults(endpoint: string, prefix: string): Promise<void> {
  const url = new URL('/_emulator/vaults', endpoint);
  url.searchParams.set('prefix', prefix);
  const response = await fetch(url, { method: 'DELETE' });
  if (!response.ok)
    throw new MoraineError('STACK_FAILED', `The emulator did not drop earlier vaults: HTTP ${response.status}.`);
}
