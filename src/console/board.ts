/**
 * bull-board inside the console, in a scope with guards of its own. It has no login, no protection against foreign
 * pages and no content security policy, and its page asks another host for fonts: all of that is mended here.
 */
import { createBullBoard } from '@bull-board/api';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance } from 'fastify';
import { BOARD_CSP, refuseChanges, refuseForeignChanges, setSecurityHeaders } from './guard.ts';
import type { QueueAdapter } from './queues.ts';

export async function mountBoard(
  server: FastifyInstance,
  options: { readonly path: string; readonly queues: readonly QueueAdapter[]; readonly isWritable: boolean },
): Promise<void> {
  const { path, queues, isWritable } = options;
  const serverAdapter = new FastifyAdapter();
  serverAdapter.setBasePath(path);
  createBullBoard({
    queues: [...queues],
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'Moraine queues',
        boardLogo: { path: '/assets/mark.svg', width: 28, height: 28 },
        hideDocsLink: true,
        miscLinks: [{ text: 'Moraine console', url: '/' }],
        favIcon: { default: '/assets/mark.svg', alternative: '/assets/mark.svg' },
      },
    },
  });
  await server.register(async (scope) => {
    scope.addHook('onRequest', isWritable ? refuseForeignChanges : refuseChanges);
    scope.addHook('onRequest', setSecurityHeaders(BOARD_CSP));
    scope.addHook('onSend', async (_request, _reply, payload) =>
      typeof payload === 'string' ? payload.replaceAll(FOREIGN_STYLES, '') : payload,
    );
    await scope.register(serverAdapter.registerPlugin(), { prefix: path });
  });
}

/** The page works without them, in the fonts of the machine. */
const FOREIGN_STYLES = /<link href="https:[^>]*rel="stylesheet"[^>]*>/g;
