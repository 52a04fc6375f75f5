/** A certificate in words, for people: the same sheet is printed to a terminal, a page and a PDF. Said is what was signed, and nothing else. */
import type { CertificateBody, CertifiedCopy } from './body.ts';

export interface Line {
  readonly label: string;
  readonly text: string;
  /** An id or a hash: letter by letter. */
  readonly isExact?: boolean;
}

export interface SheetSection {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface Sheet {
  readonly title: string;
  readonly number: string;
  /** What it certifies, in a sentence or two. */
  readonly statement: string;
  readonly warning: string | null;
  readonly sections: readonly SheetSection[];
}

export const CERTIFICATE_TITLE = 'Certificate of destruction';
const NUMBER = new Intl.NumberFormat('en-US');

export function sheetOf(body: CertificateBody): Sheet {
  const sections = [whatWentSection(body), ruleSection(body), brakesSection(body)];
  for (const [at, copy] of body.copies.entries()) sections.push(copySection(copy, at, body.copies.length));
  sections.push(endSection(body), evidenceSection(body));
  return {
    title: body.fields === undefined ? CERTIFICATE_TITLE : 'Certificate of treatment in place',
    number: `No. ${body.number}`,
    statement: statementOf(body),
    warning: body.note ?? null,
    sections: sections.filter(({ lines }) => lines.length > 0),
  };
}

/** `2026-11-22 17:09:05 UTC`, or the text as it is where it is no instant. */
export function when(text: string): string {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function statementOf({ archive, records, owner, customer, fields, what, copies }: CertificateBody): string {
  const of = `of customer ${customer}, whose owner is ${owner}`;
  if (what === 'customer offboarded')
    return `The records and archives ${of} that are named below were destroyed because the customer left. Each has a certificate of its own.`;
  if (archive !== null) {
    const places = copies.length === 1 ? 'The one copy' : `All ${copies.length} copies`;
    return `The archive named below, with ${counted(records['archived'] ?? 0, 'record')} ${of}, was destroyed. ${places} of it that existed went at the place and time given here, and the only key that opened it was destroyed.`;
  }
  if (fields !== undefined)
    return `Fields of ${counted(records['treated'] ?? 0, 'record')} ${of}, were removed or replaced in place.`;
  const deleted = records['deleted'] ?? 0;
  const [were, them] = deleted === 1 ? ['was', 'it'] : ['were', 'them'];
  return `${counted(deleted, 'record')} ${of}, ${were} deleted. No archive of ${them} was made.`;
}

function whatWentSection(body: CertificateBody): SheetSection {
  const { archive, records, children, attachments, addendumTo, fields, collections, archives, certificates } = body;
  const outcomes = Object.keys(OUTCOMES).flatMap((name) => {
    const value = records[name] ?? 0;
    return value === 0 ? [] : [`${NUMBER.format(value)} ${OUTCOMES[name]}`];
  });
  return {
    title: 'What was destroyed',
    lines: [
      { label: 'What', text: body.what },
      { label: 'Owner', text: body.owner },
      { label: 'Customer', text: body.customer },
      ...(body.dataset === '*' ? [] : [{ label: 'Dataset', text: body.collection ?? body.dataset }]),
      ...(archive === null ? [] : [{ label: 'Archive', text: archive, isExact: true }]),
      ...(addendumTo === undefined ? [] : [{ label: 'Addendum to', text: addendumTo, isExact: true }]),
      {
        label: 'Records',
        text: outcomes.join('; ') || 'none',
      },
      ...(children === undefined ? [] : [{ label: 'Child records', text: NUMBER.format(children) }]),
      ...(attachments === undefined ? [] : [{ label: 'Attachments', text: NUMBER.format(attachments) }]),
      ...(fields ?? []).map(({ field, how }) => ({ label: 'Field', text: `${field}: ${HOW[how] ?? how}` })),
      ...(collections ?? []).map(({ collection, deleted }) => {
        return { label: 'Collection', text: `${collection}: ${counted(deleted, 'record')} deleted` };
      }),
      ...(archives ?? []).map((text) => ({ label: 'Archive', text, isExact: true })),
      ...(certificates ?? []).map((text) => ({ label: 'Certificate', text, isExact: true })),
    ],
  };
}

const OUTCOMES: Readonly<Record<string, string>> = {
  archived: 'taken',
  deleted: 'deleted from the source',
  treated: 'treated in the source',
  changed: 'had changed and stayed',
  held: 'held and stayed',
  gone: 'gone already',
  quarantined: 'put aside for a person',
};

const HOW: Readonly<Record<string, string>> = {
  anonymise: 'removed',
  redact: 'replaced by a fixed text',
  pseudonymise: 'replaced by a pseudonym',
};

function ruleSection(body: CertificateBody): SheetSection {
  const { policy, policyVersion, rules, triggers, due, dueBy, saidBy, rescheduled = [], early } = body;
  const moved = [...rescheduled, ...(early === undefined ? [] : [early])];
  return {
    title: 'Under which rule',
    lines: [
      ...(policy === '*'
        ? []
        : [
            { label: 'Policy', text: policy },
            { label: 'Policy version', text: policyVersion, isExact: true },
          ]),
      ...rules.map(({ rule, records }) => ({ label: 'Decided by', text: `${rule}: ${counted(records, 'record')}` })),
      ...(triggers === undefined
        ? []
        : [{ label: 'Triggers', text: `${when(triggers.from)} to ${when(triggers.to)}` }]),
      ...(due === undefined
        ? []
        : [{ label: 'Active periods ended', text: range(due.activeEnded, due.activeEndedLast) }]),
      ...(due?.purgeTo === undefined
        ? []
        : [{ label: 'Due for destruction', text: range(due.purgeFrom ?? due.purgeTo, due.purgeTo) }]),
      ...(dueBy === undefined ? [] : [{ label: 'Due by', text: when(dueBy) }]),
      ...(saidBy === undefined ? [] : [{ label: 'Ordered by', text: saidBy }]),
      ...moved.map(({ from, to, by, approval, at }) => ({
        label: 'Date moved',
        text: `from ${when(from)} to ${when(to)} by ${by} at ${when(at)}${approval === null ? '' : `, approval ${approval}`}`,
      })),
    ],
  };
}

function range(from: string, to: string | undefined): string {
  return to === undefined || to === from ? `from ${when(from)}` : `${when(from)} to ${when(to)}`;
}

function brakesSection({ holds, approvals }: CertificateBody): SheetSection {
  const looks = holds?.lookedAt ?? [];
  return {
    title: 'Holds and approvals',
    lines: [
      ...(looks.length === 0 ? [] : [{ label: 'Holds looked at', text: looks.map(when).join(' and ') }]),
      ...(holds?.inForce == null
        ? []
        : [
            {
              label: 'In force then',
              text:
                holds.inForce === 0
                  ? 'none that names this owner, customer and dataset'
                  : `${holds.inForce} (${holds.ids.join(', ')}), none of which covers anything in here`,
            },
          ]),
      ...((holds?.leftOut.length ?? 0) === 0
        ? []
        : [{ label: 'Left out for holds', text: holds?.leftOut.join(', ') ?? '' }]),
      ...approvals.map(({ id, kind, requestedBy, requestedAt, granted }) => ({
        label: 'Approval',
        text: `${id} (${kind}), asked by ${requestedBy} at ${when(requestedAt)}; granted by ${granted
          .map(({ by, at }) => `${by} at ${when(at)}`)
          .join(', ')}`,
      })),
    ],
  };
}

function copySection(copy: CertifiedCopy, at: number, of: number): SheetSection {
  const { backend, account, region, vault, prefix, vaultArchiveId, bytes, treeHash, storedAt, verified, deleted } =
    copy;
  return {
    title: of === 1 ? 'The copy, and its end' : `Copy ${at + 1} of ${of}, and its end`,
    lines: [
      {
        label: 'Place',
        text: `${backend}, region ${region}, account ${account === '-' ? 'of the installation' : account}`,
      },
      { label: 'Vault', text: prefix === undefined ? vault : `${vault}, ${prefix}`, isExact: true },
      { label: 'Id there', text: vaultArchiveId, isExact: true },
      { label: 'Size', text: `${NUMBER.format(bytes)} bytes` },
      { label: 'SHA-256 tree hash', text: treeHash, isExact: true },
      { label: 'Stored', text: when(storedAt) },
      ...(verified === undefined
        ? []
        : [{ label: 'Verified', text: `by ${verified.level}${verified.at === null ? '' : `, ${when(verified.at)}`}` }]),
      ...(deleted.requestedAt === null ? [] : [{ label: 'Delete requested', text: when(deleted.requestedAt) }]),
      ...(deleted.approval == null
        ? []
        : [{ label: 'Deleted by', text: `approval ${deleted.approval}`, isExact: true }]),
      ...(deleted.acceptedAt === null ? [] : [{ label: 'Delete accepted', text: when(deleted.acceptedAt) }]),
      ...(deleted.requestId === null ? [] : [{ label: 'Request id', text: deleted.requestId, isExact: true }]),
      { label: 'Proved gone', text: `by the inventory of ${when(deleted.confirmedByInventoryOf)}` },
    ],
  };
}

function endSection({ key, finalOn, done }: CertificateBody): SheetSection {
  return {
    title: 'Key and time',
    lines: [
      ...(done === undefined ? [] : [{ label: 'Done', text: `${when(done.from)} to ${when(done.to)}` }]),
      ...(key === undefined ? [] : [{ label: 'Key destroyed', text: when(key.destroyedAt) }]),
      ...(finalOn == null
        ? []
        : [{ label: 'Final on', text: `${when(finalOn)}, when backups of the key are gone too` }]),
      ...(finalOn === null
        ? [{ label: 'Final on', text: 'not stated: no greatest age of backups of the keys was declared' }]
        : []),
    ],
  };
}

function evidenceSection(body: CertificateBody): SheetSection {
  const { merkleRoot, manifestSha256, audit, issuedAt, installation, environment, id, asOf } = body;
  return {
    title: 'Evidence',
    lines: [
      ...(merkleRoot === undefined ? [] : [{ label: 'Merkle root of records', text: merkleRoot, isExact: true }]),
      ...(manifestSha256 === undefined ? [] : [{ label: 'SHA-256 of manifest', text: manifestSha256, isExact: true }]),
      ...(body.export === undefined
        ? []
        : [{ label: 'Export', text: `${body.export.id}, manifest ${body.export.manifestSha256}`, isExact: true }]),
      ...(audit === null
        ? []
        : [{ label: `Audit entry ${NUMBER.format(audit.seq)}`, text: audit.hash, isExact: true }]),
      { label: 'Certificate id', text: id, isExact: true },
      { label: 'Installation', text: `${installation} (${environment})` },
      { label: 'Issued', text: when(issuedAt) },
      ...(asOf === null ? [] : [{ label: 'As of', text: `${when(asOf)}: time was moved` }]),
    ],
  };
}

function counted(value: number, noun: string): string {
  return `${NUMBER.format(value)} ${noun}${value === 1 ? '' : 's'}`;
}
