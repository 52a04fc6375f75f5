/** Every page and its twin for machines: the same reading, once as HTML and once as JSON under `/api`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { certificatePage as certificateAsPage } from '../certificate/page.ts';
import { certificatePdf } from '../certificate/pdf.ts';
import { type SignedCertificate, signedJson } from '../certificate/signed-file.ts';
import { MoraineError } from '../errors.ts';
import { readArchive } from './data/archive.ts';
import { archiveFilter, readArchives } from './data/archives.ts';
import { readAudit } from './data/audit.ts';
import { readCertificate, readCertificates } from './data/certificates.ts';
import { readExceptions } from './data/exceptions.ts';
import { readOffboardings } from './data/offboardings.ts';
import { readOverview } from './data/overview.ts';
import { readPolicies } from './data/policies.ts';
import { readQuarantine } from './data/quarantine.ts';
import { type Frame, layout, type Page } from './layout.ts';
import { archivePage } from './pages/archive.ts';
import { archivesPage } from './pages/archives.ts';
import { auditPage, verificationPage } from './pages/audit.ts';
import { certificatePage, certificatesPage } from './pages/certificates.ts';
import { exceptionsPage } from './pages/exceptions.ts';
import { offboardingsPage } from './pages/offboardings.ts';
import { overviewPage } from './pages/overview.ts';
import { policiesPage } from './pages/policies.ts';
import { quarantinePage } from './pages/quarantine.ts';
import { queuesPage } from './pages/queues.ts';
import { vaultsPage } from './pages/vaults.ts';
import type { Sight } from './sight.ts';

interface Asked {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
}

interface Route {
  readonly page: string;
  readonly api: string;
  answer(sight: Sight, asked: Asked): Promise<Answer>;
}

interface Answer {
  readonly json: unknown;
  page(now: Date): Page;
}

/** Reads once, and shows what was read in either form. */
function route<T>(
  page: string,
  api: string,
  read: (sight: Sight, asked: Asked) => Promise<T>,
  show: (data: T, now: Date, sight: Sight) => Page,
): Route {
  return {
    page,
    api,
    answer: async (sight, asked) => {
      const data = await read(sight, asked);
      return { json: data, page: (now) => show(data, now, sight) };
    },
  };
}

export const ROUTES: readonly Route[] = [
  route('/', '/api/overview', readOverview, overviewPage),
  route('/policies', '/api/policies', readPolicies, policiesPage),
  route(
    '/exceptions',
    '/api/exceptions',
    (sight, { query }) => readExceptions(sight, query['show'] === 'all'),
    exceptionsPage,
  ),
  route('/archives', '/api/archives', (sight, { query }) => readArchives(sight, archiveFilter(query)), archivesPage),
  route(
    '/archives/:id',
    '/api/archives/:id',
    (sight, { params }) => readArchive(sight, params['id'] ?? ''),
    archivePage,
  ),
  route('/vaults', '/api/vaults', async (sight) => (await sight.snapshot.get()).vaults, vaultsPage),
  route('/quarantine', '/api/quarantine', readQuarantine, quarantinePage),
  route('/offboardings', '/api/offboardings', readOffboardings, offboardingsPage),
  route(
    '/certificates',
    '/api/certificates',
    (sight, { query }) =>
      readCertificates(sight, { owner: typeof query['owner'] === 'string' ? query['owner'] : null }),
    certificatesPage,
  ),
  route(
    '/certificates/:id',
    '/api/certificates/:id',
    (sight, { params }) => readCertificate(sight, params['id'] ?? ''),
    certificatePage,
  ),
  route('/audit', '/api/audit', readAudit, auditPage),
  route('/audit/verify', '/api/audit/verify', (sight) => sight.verification.get(), verificationPage),
  route(
    '/queues',
    '/api/queues',
    (sight) => sight.queues.get(),
    (queues, _now, sight) => queuesPage(queues, sight.config.console.bullBoardWritable),
  ),
];

export function registerRoutes(server: FastifyInstance, sight: Sight): void {
  for (const { page, api, answer } of ROUTES) {
    server.get(page, async (request, reply) => {
      const { page: show } = await answer(sight, asked(request));
      const now = sight.context.clock.now();
      return reply.type('text/html; charset=utf-8').send(layout(frameOf(sight, now), show(now)));
    });
    server.get(api, async (request) => (await answer(sight, asked(request))).json);
  }
  server.get('/api/certificates/:id/download', async (request, reply) => {
    const { params, query } = asked(request);
    const { id, number, file } = await readCertificate(sight, params['id'] ?? '');
    if (file === null) {
      throw new MoraineError('CERTIFICATE_INVALID', `The key of certificate ${id} is not in the key store.`, {
        ids: { certificate: id },
      });
    }
    const format = DOWNLOADS[String(query['format'] ?? 'json')] ?? DOWNLOADS['json'];
    if (format === undefined) return;
    const name = `certificate-${String(number).padStart(6, '0')}.${format.ending}`;
    return reply
      .header('content-disposition', `attachment; filename="${name}"`)
      .type(format.type)
      .send(await format.write(file));
  });
}

interface Download {
  readonly ending: string;
  readonly type: string;
  write(file: SignedCertificate): string | Promise<Buffer>;
}

/** By `?format=`; the signed text goes out as a text in each, so that its signature can be checked over the same bytes. */
const DOWNLOADS: Readonly<Record<string, Download>> = {
  json: { ending: 'json', type: 'application/json; charset=utf-8', write: signedJson },
  html: { ending: 'html', type: 'text/html; charset=utf-8', write: (file) => certificateAsPage(file) },
  pdf: { ending: 'pdf', type: 'application/pdf', write: (file) => certificatePdf(file) },
};

export function frameOf(sight: Sight, now: Date): Frame {
  const { environment, id } = sight.context.installation;
  return { environment, installation: id, now };
}

function asked(request: FastifyRequest): Asked {
  const { params, query } = request;
  return { params: textsOf(params), query: isRecord(query) ? query : {} };
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
