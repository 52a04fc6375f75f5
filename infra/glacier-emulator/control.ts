import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { CallCounts } from './call-counts.ts';
import { ClockRefusal, type EmulatorClock } from './clock.ts';
import { type Faults, faultSchema } from './faults.ts';
import type { Notifier } from './notifier.ts';
import type { Vaults } from './vaults.ts';

const clockSchema = z.union([z.strictObject({ advance: z.string() }), z.strictObject({ set: z.string() })]);
const expireSchema = z.strictObject({ vault: z.string() });
/** Long enough that a slip does not drop everybody's vaults. */
const SHORTEST_PREFIX = 3;
const dropSchema = z.strictObject({ prefix: z.string().min(SHORTEST_PREFIX) });
const clearSchema = z.object({ vault: z.string().optional(), id: z.string().optional() });

type Controlled = { clock: EmulatorClock; vaults: Vaults; faults: Faults; notifier: Notifier; counts: CallCounts };

/** What is not the service's: `/_emulator/...`, without signatures, for tests and people. */
export function addControlRoutes(
  server: FastifyInstance,
  { clock, vaults, faults, notifier, counts }: Controlled,
): void {
  const time = () => ({ now: new Date(clock.nowMs()).toISOString(), offsetMs: clock.offsetMs() });

  server.register(
    async (control) => {
      control.removeAllContentTypeParsers();
      control.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, String(body)));
      control.setErrorHandler((error, _request, reply) => {
        const isClient = error instanceof z.ZodError || error instanceof SyntaxError || error instanceof ClockRefusal;
        const text = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
        return reply.status(isClient ? 400 : 500).send({ error: error instanceof ClockRefusal ? error.message : text });
      });

      control.get('/health', async () => ({ status: 'ok', ...time() }));
      control.get('/clock', async () => time());
      control.post('/clock', async (request) => {
        const move = clockSchema.parse(readJson(request.body));
        await ('advance' in move ? clock.advance(move.advance) : clock.set(move.set));
        notifier.look();
        return time();
      });

      control.get('/calls', async () => ({ calls: counts.list() }));
      control.get('/notifications', async () => ({ notifications: notifier.told }));

      control.get('/faults', async () => ({ faults: faults.list() }));
      control.post('/faults', async (request, reply) => {
        return reply.status(201).send(faults.add(faultSchema.parse(readJson(request.body))));
      });
      control.delete('/faults', async (request, reply) => {
        faults.clear(clearSchema.parse(request.query));
        return reply.status(204).send();
      });

      control.delete('/vaults', async (request) => {
        const { prefix } = dropSchema.parse(request.query);
        return { dropped: await vaults.drop(prefix) };
      });

      control.post('/expire', async (request, reply) => {
        const { vault: name } = expireSchema.parse(readJson(request.body));
        for (const vault of vaults.named(name)) {
          await vault.ready();
          await vault.expire(0);
        }
        return reply.status(204).send();
      });
    },
    { prefix: '/_emulator' },
  );
}

function readJson(body: unknown): unknown {
  return typeof body === 'string' && body !== '' ? JSON.parse(body) : undefined;
}
