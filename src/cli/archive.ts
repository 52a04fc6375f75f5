/** `moraine archive <id>`: everything about one archive. */
import type { Command } from 'commander';
import { id } from '../ids.ts';
import { type ArchiveDocument, collectionOfArchive, RECORD_OUTCOMES } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import { type AuditEntry, auditEntries } from '../ledger/audit.ts';
import { findRetrievals, type RetrievalDocument } from '../ledger/retrievals.ts';
import { readExceptions } from '../ledger/rosters.ts';
import { archiveListed } from './archive-document.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { table } from './output.ts';
import { count, counted, instant, short, size } from './words.ts';

export function archiveCommand(): Command {
  return newCommand('archive', {
    description: 'Everything that the ledger knows about one archive, with its history from the audit chain.',
    examples: [['moraine archive 20261122-0a1b2c3d4e', '']],
  })
    .argument('<archive>', 'id of the archive')
    .action(
      acting(async (session, [archiveId = '']) => {
        const app = await session.openApp();
        const archive = await getArchive(app.store, id.archive(archiveId));
        const timeline: AuditEntry[] = [];
        for await (const entry of auditEntries(app.store, { subject: { archive: archive._id } })) timeline.push(entry);
        const retrievals: RetrievalDocument[] = [];
        for await (const retrieval of findRetrievals(app.store, { archive: archive._id })) retrievals.push(retrieval);
        const exceptions: Record<string, number> = {};
        for await (const { outcome } of readExceptions(app.store, archive._id))
          exceptions[outcome] = (exceptions[outcome] ?? 0) + 1;
        const document = {
          ...archiveListed(archive),
          ...factsOf(archive),
          void: exceptions,
          timeline: timeline.map(({ seq, at, asOf, actor, act, phase, details }) => ({
            seq,
            at,
            asOf,
            actor,
            act,
            phase,
            details,
          })),
          retrievals: retrievals.map(({ _id, state, tier, requestedAt, expectedAt, readyAt, expiresAt }) => ({
            id: _id,
            state,
            tier,
            requestedAt,
            expectedAt,
            readyAt,
            expiresAt,
          })),
        };
        session.output.result(document, () => archiveText(archive, timeline, retrievals));
        return EXIT.done;
      }),
    );
}

/** All facts but the bounds of the plan, which hold plaintext ids of records. */
function factsOf(archive: ArchiveDocument) {
  const { plan, stored, purge, outcomes } = archive;
  return {
    policyVersion: archive.policyVersion,
    location: archive.vault,
    verifyLevel: archive.verifyLevel,
    verifiedAt: archive.verifiedAt,
    quarantinedFrom: archive.quarantinedFrom,
    quarantineReason: archive.quarantineReason,
    attempts: archive.attemptCount,
    plan: { asOf: plan.asOf, records: plan.records, bytes: plan.bytes, latestPurgeAt: plan.latestPurgeAt },
    stored,
    purge,
    outcomes,
    createdAt: archive.createdAt,
    changedAt: archive.changedAt,
    lease: archive.lease,
  };
}

function archiveText(
  archive: ArchiveDocument,
  timeline: readonly AuditEntry[],
  retrievals: readonly RetrievalDocument[],
): readonly string[] {
  const { stored, outcomes, purge } = archive;
  const state =
    archive.state === 'quarantined'
      ? `quarantined (was ${archive.quarantinedFrom}: ${archive.quarantineReason})`
      : archive.state;
  const fates = ([...RECORD_OUTCOMES, 'pending'] as const)
    .filter((outcome) => outcomes[outcome] > 0)
    .map((outcome) => `${count(outcomes[outcome])} ${outcome}`);
  const facts: [string, string][] = [
    ['state', state],
    ['dataset', `${archive.namespace}, owner ${archive.owner}, customer ${archive.customer}`],
    ...(archive.addendumTo === undefined
      ? []
      : [
          ['addendum', `children of ${collectionOfArchive(archive)}, to ${archive.addendumTo}`] satisfies [
            string,
            string,
          ],
        ]),
    ['policy', `${archive.policy}, version ${short(archive.policyVersion)}`],
    ['vault', `${archive.vault.name} (${archive.vault.backend}, ${archive.vault.region})`],
    ['verified', archive.verifiedAt === null ? `not yet (${archive.verifyLevel})` : instant(archive.verifiedAt)],
    ['records', `${count(stored?.records ?? archive.plan.records)}${fates.length > 0 ? `: ${fates.join(', ')}` : ''}`],
    ['purge due', instant(archive.dueAt)],
  ];
  if (stored !== null) {
    facts.push(
      ['file', `${size(stored.bytes)}, ${size(stored.recordBytes)} of BSON inside`],
      ['vault id', stored.vaultArchiveId],
      ['tree hash', stored.treeHash],
      ['stored', instant(stored.at)],
    );
  }
  if (stored?.children !== undefined) {
    facts.push(['children', `${count(stored.children)}, ${size(stored.childBytes ?? 0)} of BSON`]);
  }
  if (stored?.attachments !== undefined) {
    facts.push(['attachments', `${count(stored.attachments)}, ${size(stored.attachmentBytes ?? 0)}`]);
  }
  if (purge !== null) {
    facts.push(
      ['vault deleted it', instant(purge.acceptedAt)],
      ['key destroyed', instant(purge.keyDestroyedAt)],
      ['certificate', purge.certificate ?? '-'],
    );
  }
  const width = Math.max(...facts.map(([name]) => name.length));
  return [
    `Archive ${archive._id}`,
    ...facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    ...(retrievals.length > 0
      ? [
          '',
          table(
            ['retrieval', 'state', 'tier', 'asked', 'expected'],
            retrievals.map((each) => [
              each._id,
              each.state,
              each.tier,
              instant(each.requestedAt),
              instant(each.expectedAt),
            ]),
          ),
        ]
      : []),
    '',
    `${counted(timeline.length, 'audit entry', 'audit entries')}:`,
    table(
      ['when', 'what', 'phase', 'by'],
      timeline.map(({ at, act, phase, actor }) => [instant(at), act, phase, actor]),
    ),
  ];
}
