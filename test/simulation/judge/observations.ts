/**
 * What the judge of the simulation sees: every physical change in the servers as it happens, what people were told, and
 * the servers' contents. Plain data, and no type of the product: the judge shares no code with what it judges.
 */

/** Milliseconds since 1970 UTC, by the simulation's true time. Worker clocks may differ from it; this one never lies. */
export type Instant = number;

/** One document of the source. `id` is its `_id` as text (all ids of a simulated life are texts). */
export interface SourceRecord {
  readonly namespace: string;
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** One file in a vault, as the service holds it now. */
export interface VaultFile {
  readonly vault: string;
  readonly vaultArchiveId: string;
  /** What was written beside it: JSON with the installation, archive and attempt, see docs/archive-format.md. */
  readonly description: string;
  readonly bytes: Uint8Array;
  readonly storedAt: Instant;
}

/** One version of a file that records name, as its service holds it: an S3 object's, or a GridFS file. */
export interface KeptFile {
  readonly kind: 's3' | 'gridfs';
  readonly bucket: string;
  /** GridFS: the file's `_id`. */
  readonly key: string;
  /** GridFS: null. */
  readonly version: string | null;
  readonly bytes: Uint8Array;
  /** False: chunks of GridFS that no document makes a file of. */
  readonly isWhole: boolean;
}

/** A document of the ledger or the key store as it lies in the database. */
export type RawDocument = Readonly<Record<string, unknown>> & { readonly _id: string };

/** What a hold or a pause names, in the words of the person who asked for it. null: any. */
export interface Scope {
  readonly owner: string | null;
  readonly customer: string | null;
  readonly namespace: string | null;
  readonly policy: string | null;
  /** Records with this `_id` only. */
  readonly recordIds: readonly string[] | null;
  /** Records whose `mail` is one of these. */
  readonly mails: readonly string[] | null;
  readonly triggerFrom: Instant | null;
  readonly triggerBefore: Instant | null;
}

/** The servers' contents now. Asking is free; nothing is a copy, so nothing may be changed. */
export interface Physical {
  now(): Instant;
  source(): readonly SourceRecord[];
  vault(): readonly VaultFile[];
  /** What records name. */
  files(): readonly KeptFile[];
  ledger(collection: string): readonly RawDocument[];
  ledgerCollections(): readonly string[];
  keyStore(collection: string): readonly RawDocument[];
}

/** `by`: the name of the process whose call did it (`worker-1`, `operator-3`, `application`). */
export type Observation =
  | {
      readonly what: 'source put';
      readonly by: string;
      readonly record: SourceRecord;
      readonly before: Uint8Array | null;
    }
  | { readonly what: 'source removed'; readonly by: string; readonly record: SourceRecord }
  | { readonly what: 'file put'; readonly by: string; readonly file: KeptFile }
  /** A marker stands in front of its versions: a record that names none of them names nothing. */
  | { readonly what: 'file hidden'; readonly by: string; readonly bucket: string; readonly key: string }
  | { readonly what: 'file removed'; readonly by: string; readonly file: KeptFile }
  /** The source was asked for the children of these roots, by what they name them by, and answered. */
  | {
      readonly what: 'children looked for';
      readonly by: string;
      readonly collection: string;
      readonly roots: readonly string[];
    }
  | { readonly what: 'vault stored'; readonly by: string; readonly file: VaultFile }
  | {
      readonly what: 'vault removed';
      readonly by: string;
      readonly file: VaultFile;
      readonly method: 'deleteArchive' | 'deleteAbandoned';
    }
  | {
      readonly what: 'ledger written' | 'key written';
      readonly by: string;
      readonly collection: string;
      readonly id: string;
      /** null: it was not there, or is gone. */
      readonly before: RawDocument | null;
      readonly after: RawDocument | null;
    }
  /** The service gave out an inventory of `inventoryAt`. */
  | {
      readonly what: 'inventory read';
      readonly by: string;
      readonly vault: string;
      readonly inventoryAt: Instant;
      readonly vaultArchiveIds: readonly string[];
    }
  | { readonly what: 'hold asked'; readonly by: string; readonly name: string; readonly scope: Scope }
  /** The command said `active`. `tooLate`: the archives that it named. */
  | { readonly what: 'hold active'; readonly by: string; readonly name: string; readonly tooLate: readonly string[] }
  | { readonly what: 'hold release asked'; readonly by: string; readonly name: string }
  /** `heldUntil`: what the command said. */
  | { readonly what: 'hold released'; readonly by: string; readonly name: string; readonly heldUntil: Instant | null }
  /** It takes a second person who has not spoken yet, or has refused: nothing was released. */
  | { readonly what: 'hold release put off'; readonly by: string; readonly name: string }
  /** What a person is about to say to an approval; whether it counts, the product decides. */
  | {
      readonly what: 'approval said';
      readonly by: string;
      readonly person: string;
      readonly approval: string;
      readonly how: 'grant' | 'refuse';
    }
  | { readonly what: 'exception end asked'; readonly by: string; readonly exception: string }
  /** For records with these labels, which nobody may read afterwards; its reason is the name. */
  | {
      readonly what: 'exception asked';
      readonly by: string;
      readonly name: string;
      readonly labels: readonly string[];
    }
  | { readonly what: 'pause asked'; readonly by: string; readonly name: string; readonly scope: Scope }
  | { readonly what: 'pause in force'; readonly by: string; readonly name: string; readonly tooLate: readonly string[] }
  | { readonly what: 'resume asked'; readonly by: string; readonly name: string }
  /** A person was told that the vault was asked, and that the archive waits for it. */
  | { readonly what: 'retrieval open'; readonly by: string; readonly archive: string; readonly retrieval: string }
  /** A person said that what is past its archive period too may be deleted without an archive. */
  | { readonly what: 'expiry ordered'; readonly by: string; readonly policy: string }
  | { readonly what: 'policy published'; readonly by: string; readonly policy: PolicyFacts }
  /** An export has its name and was handed over. `archives`: records by the archive that they came out of. */
  | {
      readonly what: 'export returned';
      readonly by: string;
      readonly export: string;
      readonly owner: string;
      readonly customer: string;
      /** Hex, of the bytes of its manifest. */
      readonly manifestSha256: string;
      readonly records: readonly SourceRecord[];
      readonly archives: ReadonlyMap<string, readonly SourceRecord[]>;
    }
  /** A person says that a customer leaves, with this export. `withoutArchives`: also archives that it does not hold. */
  | {
      readonly what: 'offboarding asked';
      readonly by: string;
      readonly export: string;
      readonly withoutArchives: boolean;
    }
  /** Records that a restore handed out (into the source they are `source put` too). */
  | {
      readonly what: 'restored';
      readonly by: string;
      readonly archive: string;
      readonly records: readonly SourceRecord[];
      /** Children and files that came with them into a folder. */
      readonly children?: readonly SourceRecord[];
      readonly files?: readonly KeptFile[];
      readonly intoSource: boolean;
      readonly exemptUntil: Instant | null;
    }
  /** Something that only a fault of the world explains, so that the judge does not blame the product for it. */
  | {
      readonly what: 'damage';
      readonly kind:
        | 'file damaged'
        | 'file lost'
        | 'file stays after delete'
        | 'ledger set back'
        | 'key store set back';
      readonly id: string;
    };

/** From general to special. */
export type RuleScope = 'organisation' | 'owner' | 'customer' | 'dataset' | 'label';

/** A rule of a policy. It is about the records of which all that is named holds; null: any. Days count as periods do. */
export interface RuleFacts {
  readonly name: string;
  readonly scope: RuleScope;
  readonly owner: string | null;
  readonly customer: string | null;
  readonly topic: string | null;
  /** One of the two at least. */
  readonly retainDays: number | null;
  readonly deleteDays: number | null;
}

/** A policy in force, as the judge needs it. Periods count from the trigger, in whole days of 24 hours (zone UTC). */
export interface PolicyFacts {
  readonly name: string;
  readonly namespace: string;
  readonly activeDays: number;
  /** Instead, for customers whose account (`data.accounts`, by the customer's name) has the plan `long`. */
  readonly longDays?: number;
  /** Instead, for records with the label `vip`; never beside `longDays`. */
  readonly vipDays?: number;
  /** Periods count from the date in `closed` and never from before `at`; without one, from so many days after `at`. */
  readonly latestDays?: number;
  /** Instead of `closed`: the fields of which the latest counts, once all of them are there. */
  readonly events?: readonly string[];
  /** Instead of events: the date in `until` of the customer's account is the due date itself, and `activeDays` is 0. */
  readonly expires?: true;
  /** What retains or deletes some records besides the active period. */
  readonly rules?: readonly RuleFacts[];
  /** From the end of the active period. */
  readonly archiveDays: number;
  readonly dueWindowDays: number;
  readonly maxWaitDays: number;
  readonly graceDays: number;
  readonly verify: 'checksum' | 'inventory';
  /** What happens to what is due; left out: it is archived, and deleted. The archive's periods say nothing where none is made. */
  readonly does?: 'delete' | 'treat' | 'archive and treat';
  /** Fields of the first level, and what becomes of them, where records are treated. */
  readonly treat?: readonly { readonly field: string; readonly how: 'anonymise' | 'redact' | 'pseudonymise' }[];
  /** Records and share that one run may take. */
  readonly limits: { readonly records: number; readonly share: number };
  /** What hangs on its records; left out: nothing does. */
  readonly family?: FamilyFacts;
}

/** Children and files of the records of a simulated life. The same in all versions of a policy. */
export interface FamilyFacts {
  /** Documents of this collection name their root in `of` (by its `_id`, or by its field `ref`), and say whose they are in `owner` and `tenant`. */
  readonly children?: { readonly collection: string; readonly parent: '_id' | 'ref' };
  /** Fields that name files: `clips` are of one record alone, `logos` shared, `sheets` GridFS files of one record alone. */
  readonly files?: readonly ('clips' | 'logos' | 'sheets')[];
}

/**
 * What the judge knows from the start. Records of a simulated life have: `_id` text, `owner`, `tenant` (the customer),
 * `at` (the trigger), `closed` and `solved` (events that may not have happened), `label` (what exceptions can name), `topic` (what rules can name), `mail` (facet `subject`; may be missing), `text` (contains the record's canary), `n` (a counter
 * that the application raises with each update). What lacks a usable owner, tenant or `at` is unfit.
 */
export interface WorldFacts {
  readonly seed: number;
  readonly policies: readonly PolicyFacts[];
  /** Owners that moraine.yaml names. Records of others must stay. */
  readonly owners: readonly string[];
  /** age identities (`AGE-SECRET-KEY-1…`) of each owner's administrators, to open archives with. */
  readonly identities: Readonly<Record<string, readonly string[]>>;
  /** Must never be seen outside the source, sealed members and restored output. Every record's text begins with it. */
  readonly canary: string;
  /** Ids of records that no run can take: their bytes cannot be guarded, or they lack owner, customer or trigger. */
  readonly releaseGraceMs: number;
  /** Who decides, as moraine.yaml says it; left out: anybody but who asked, and nobody looks at a purge first. */
  readonly approvals?: ApprovalFacts;
}

export interface ApprovalFacts {
  /** Empty: anybody. */
  readonly people: readonly string[];
  /** Before every purge: one person of each stage, an empty one being anybody; null: no review. */
  readonly purgeStages: readonly (readonly string[])[] | null;
}

export interface Violation {
  /** Number of the promise in the design (1 to 12), or `end` for work that does not finish. */
  readonly promise: number | 'end';
  /** Stable name of the property that was broken, in kebab case. */
  readonly property: string;
  readonly text: string;
}

export interface JudgePort {
  /** Called after each change, in order. The world stands still meanwhile. */
  see(observation: Observation, physical: Physical): Promise<void>;
  /** Faults are over, every process had time to finish; nothing moves any more. */
  end(physical: Physical): Promise<void>;
  readonly violations: readonly Violation[];
}
