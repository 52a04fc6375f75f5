/** What the audit chain says of an approval. Each event has a key of its own, so that whoever comes next may tell it again. */
import type { Json } from '../canonical-json.ts';
import type { ApprovalDocument } from './approval-document.ts';
import type { AuditEntryBody } from './audit.ts';

/** Everything that the document says happened, each event under a key of its own. */
export function entriesOf(document: ApprovalDocument): readonly AuditEntryBody[] {
  const { _id, grants, stages, state, refusedBy, refusalReason, spentFor } = document;
  return [
    { ...requestEntry(document, 'outcome'), key: `${_id}:requested` },
    ...grants.map(({ by }, stage) => ({
      ...entryOf(document, 'approval grant', 'outcome', { by, stage: stage + 1, stages: stages.length }),
      key: `${_id}:granted:${stage}`,
    })),
    ...(state === 'refused'
      ? [
          {
            ...entryOf(document, 'approval refuse', 'outcome', { by: refusedBy, reason: refusalReason }),
            key: `${_id}:refused`,
          },
        ]
      : []),
    ...(state === 'spent'
      ? [{ ...entryOf(document, 'approval use', 'outcome', { for: spentFor }), key: `${_id}:spent` }]
      : []),
  ];
}

export function requestEntry(document: Omit<ApprovalDocument, 'rev'>, phase: AuditEntryBody['phase']) {
  return entryOf(document, 'approval request', phase, {
    by: document.requestedBy,
    expiresAt: new Date(document.requestedAt.getTime() + document.validMs).toISOString(),
  });
}

export function entryOf(
  { _id, kind, subject, hash }: Omit<ApprovalDocument, 'rev'>,
  act: string,
  phase: AuditEntryBody['phase'],
  details: Readonly<Record<string, Json>>,
): Omit<AuditEntryBody, 'key'> {
  return { act, phase, subject: { ...subject, approval: _id }, details: { kind, hash, ...details } };
}
