/** Every property that the judge checks: the promise that it belongs to, and the failure that it would catch. */
import type { Violation } from './observations.ts';

interface Property {
  readonly promise: Violation['promise'];
  /** The failure that it would catch, in a sentence. */
  readonly catches: string;
}

export const PROPERTIES = {
  'deleted-before-verified': {
    promise: 1,
    catches:
      'A record leaves the source although no file in a vault holds its bytes, or its key is not kept, or the ledger does not call that file verified at the level of the policy; and nobody ordered its expiry.',
  },
  'last-copy-lost': {
    promise: 1,
    catches:
      'The file or the key of records that were deleted goes, other than by an accepted vault delete and then the key: a key destroyed first, an attempt abandoned after clearing.',
  },
  'stray-removed': {
    promise: 1,
    catches:
      'A file is removed from a vault that is neither the one of an archive under purge nor of an attempt that the ledger names abandoned.',
  },
  'owner-unknown-deleted': {
    promise: 1,
    catches:
      'A record of an owner that moraine.yaml does not name, or without a usable owner, customer or trigger, is deleted.',
  },
  'lost-record': {
    promise: 1,
    catches:
      'In the end a record that Moraine deleted is not in the source, not in a readable archive that counts it as deleted, and its purge was not due.',
  },
  'deleted-other-bytes': {
    promise: 2,
    catches:
      'The delete takes a record that changed since it was archived: the guard is left out, or compares too little.',
  },
  'source-overwritten': { promise: 2, catches: 'Moraine writes over a document that is in the source.' },
  'treated-other-fields': {
    promise: 2,
    catches:
      'Treating a record changes a field that the policy does not name (a change that came in between is overwritten), or leaves one that it names.',
  },
  'treated-without-order': {
    promise: 1,
    catches:
      'A record is treated although no disposal of its partition is under way and no verified archive holds its bytes.',
  },
  'treated-twice': {
    promise: 6,
    catches: 'A record that carries the marker of a treatment is treated in the same way again.',
  },
  'two-disposals-at-once': {
    promise: 6,
    catches:
      'A disposal of a partition is begun while another one is under way there: both would count the same records.',
  },
  'pseudonym-differs': {
    promise: 9,
    catches:
      'The same person has two pseudonyms within one owner, two people share one, or two owners have the same for one.',
  },
  'treated-not-due': {
    promise: 4,
    catches: 'A record is treated although its active period is not over at true time.',
  },
  'treated-under-brake': {
    promise: 3,
    catches: 'A record is treated under a hold that was reported active, or a pause that was reported in force.',
  },
  'deleted-instead-of-treated': {
    promise: 2,
    catches: 'A record that its policy has treated in place is deleted.',
  },
  'void-copy-restored': {
    promise: 2,
    catches:
      'A restore hands out a copy whose original was not deleted under this archive, or other bytes than the archive holds.',
  },
  'held-record-deleted': {
    promise: 3,
    catches: 'A record under a hold that was reported active is deleted from the source.',
  },
  'held-archive-purged': {
    promise: 3,
    catches:
      'The file of a record under a hold that was reported active is removed, and the hold did not name it as too late.',
  },
  'too-late-not-named': {
    promise: 3,
    catches:
      'A hold is reported active without naming an archive that it covers and that was removed after the hold was asked for.',
  },
  'paused-record-deleted': { promise: 3, catches: 'A record is deleted under a pause that was reported in force.' },
  'paused-archive-purged': {
    promise: 3,
    catches: 'A file is removed under a pause that was reported in force and did not name it.',
  },
  'deleted-not-due': {
    promise: 4,
    catches:
      'A record is deleted although its active period, or its exemption after a restore, is not over at true time.',
  },
  'taken-under-exception': {
    promise: 4,
    catches:
      'A record is deleted or treated although a longer exception that was in force well before its plan was made keeps it; or, in the grace after its end.',
  },
  'act-without-approval': {
    promise: 3,
    catches:
      'A hold is released, an exception put into force or a longer one ended, an archive purged early, a backlog or an offboarding begun, or a version published that lets records go sooner, and no other person was seen to grant it.',
  },
  'approved-without-another': {
    promise: 3,
    catches:
      'An approval counts as granted by the person who asked, by one who never said yes, by one person for two, or after it was refused.',
  },
  'stage-not-passed': {
    promise: 3,
    catches:
      'An approval counts as granted although a stage of it has nobody, or somebody who is not among those who may decide there.',
  },
  'purged-without-review': {
    promise: 3,
    catches:
      'An archive is claimed for its purge where people look at that before, and not every stage let it go with the file and the date that it has, or somebody refused it.',
  },
  'left-unreturned': {
    promise: 1,
    catches:
      'A record or a file of a customer who leaves is destroyed, and no export that was handed over before holds it as it was (nor did the person say that archives may go without).',
  },
  'grant-used-twice': { promise: 3, catches: 'A grant for something that is done once lets it happen again.' },
  'purged-early': {
    promise: 4,
    catches:
      'A file is removed although the archive period of a record in it, or the date that a person gave it instead, is not over at true time.',
  },
  'rescheduled-without-approval': {
    promise: 4,
    catches:
      'An archive gets an earlier purge date, and no other person let exactly this archive go from the old date to the new one.',
  },
  'policy-bites-early': {
    promise: 4,
    catches:
      'A version that lets records go sooner is in force before the grace of the one before it is over, or something is begun under a version that is not in force.',
  },
  'run-changed-policy': {
    promise: 4,
    catches: 'An archive or a disposal that was begun under one version of its policy goes on under another.',
  },
  'purged-under-retrieval': {
    promise: 4,
    catches:
      'A file is removed although a person was told that its retrieval is open, and it is neither read, cancelled nor expired.',
  },
  'confirmed-and-still-there': {
    promise: 4,
    catches: 'A purge is confirmed, and certified, while the vault still has the file.',
  },
  'destroyed-key-came-back': {
    promise: 4,
    catches: 'A worker that slept stores the key of an attempt that is over: what was destroyed can be opened again.',
  },
  'kept-too-long': {
    promise: 4,
    catches: 'In the end a record or a file is still there past its due date and the grace.',
  },
  'outcomes-do-not-add-up': {
    promise: 5,
    catches: 'The outcomes of an archive do not add up, or name a record deleted that was not, or the other way round.',
  },
  'illegal-move': {
    promise: 6,
    catches: 'The state of an archive in the ledger changes by another way than the table of moves allows.',
  },
  'record-in-two-archives': {
    promise: 6,
    catches:
      'Two archives that are not cleared hold the same bytes of one record: both could delete it, and one of them would count it as gone.',
  },
  'epoch-went-back': {
    promise: 6,
    catches: 'A ledger document is written with an older epoch than it had: two holders of one lease.',
  },
  'written-under-lost-lease': {
    promise: 6,
    catches: 'A process changes state or outcomes of an archive under an epoch that another process claimed.',
  },
  'archive-key-in-the-open': {
    promise: 8,
    catches: 'The 32 bytes of an archive key, raw, hexadecimal or base64, are written anywhere.',
  },
  'content-in-the-open': {
    promise: 8,
    catches:
      'Text of a record, or a mail address of one, is in a ledger or key store document, or readable in a vault.',
  },
  'mixed-archive': {
    promise: 9,
    catches:
      'A file, vault or key serves more than one owner, customer or attempt, or opens for an administrator of another owner.',
  },
  'act-without-intent': {
    promise: 10,
    catches:
      'Something is deleted, stored, removed or destroyed before the audit chain (for abandoned attempts: the ledger) says that it will be.',
  },
  'audit-chain-broken': {
    promise: 10,
    catches: 'An audit entry is missing, changed, or does not carry the hash of the one before.',
  },
  'certificate-number': {
    promise: 10,
    catches:
      'Certificates have a gap in their numbers or one number twice, or say another number or file than they are kept for.',
  },
  'intent-without-outcome': {
    promise: 10,
    catches: 'In the end an act has finished by the ledger and the audit chain does not say so.',
  },
  'file-does-not-open': {
    promise: 11,
    catches:
      'The ledger calls a file stored that does not open as docs/archive-format.md says, is not the one of this attempt, or differs from what the ledger says of it.',
  },
  'over-the-cap': {
    promise: 12,
    catches: 'An archive holds more records than its policy lets one run take.',
  },
  'child-deleted-without-copy': {
    promise: 1,
    catches:
      'A child goes although no verified archive of its root, and no addendum, holds its bytes, and no disposal of its partition is under way.',
  },
  'child-before-root': {
    promise: 1,
    catches: 'A child goes while its root is in the source: what hangs on a record that stayed stays with it.',
  },
  'attachment-deleted-without-copy': {
    promise: 1,
    catches:
      'A version of a file goes although no verified archive holds its bytes, and no disposal has written it down.',
  },
  'attachment-out-of-order': {
    promise: 1,
    catches: 'A file goes before its record, or before the children of that record have gone.',
  },
  'shared-attachment-deleted': {
    promise: 1,
    catches: 'A file that the policy does not call exclusive is deleted: other records name it.',
  },
  'unit-lost': {
    promise: 1,
    catches: 'In the end a child or a file that Moraine deleted is in no readable archive, and its purge was not due.',
  },
  'half-archived': {
    promise: 2,
    catches:
      'An archive holds a record without a child that was there all the time, without a file that it names, or with one as it never was; or a record goes although a file that it names has been another one since.',
  },
  'held-unit-deleted': {
    promise: 3,
    catches: 'A child or a file goes under a hold or pause that was reported in force and covers its root.',
  },
  'foreign-child-taken': {
    promise: 9,
    catches: 'A child of another owner or customer than its root is archived with it, or deleted after it.',
  },
  'orphan-left': {
    promise: 'end',
    catches:
      'In the end a child is left whose root was deleted before somebody looked for what came late, and nobody was told; or chunks of a file that is gone.',
  },
  'work-not-finished': {
    promise: 'end',
    catches:
      'Faults are over, and something still waits that nothing in the world explains: states, leases, attempts, keys, pages, quarantine.',
  },
} as const satisfies Readonly<Record<string, Property>>;

export type PropertyName = keyof typeof PROPERTIES;

/** Says that a property is broken. The same text is kept once. */
export type Report = (property: PropertyName, text: string) => void;
