/**
 * The judge of a simulated life: sees every change, and says which promises were broken. It shares no code with the
 * product; what it knows, it learned from the design, docs/ and the form of the documents in the ledger.
 *
 * What it does at an observation costs about the same however long the life lasts; it looks through the servers when it
 * first sees them, after a backup was put back, and at the end.
 */
import {
  forgetApprovals,
  judgeDisposalGrant,
  judgeEarly,
  seeApproval,
  seeException,
  seeHold,
  seeSaid,
} from './approvals.ts';
import { seeAudit } from './audit-chain.ts';
import { forgetBrakes, seeBrake } from './brakes.ts';
import { judgeEnd } from './end.ts';
import { fileKey, Known } from './known.ts';
import { judgeOffboarding, seeOffboardingAsked, seeReturned } from './leaving.ts';
import { seeArchiveWritten, seeExpiration } from './ledger-changes.ts';
import type { JudgePort, Observation, Physical, RawDocument, Violation, WorldFacts } from './observations.ts';
import { learnPolicy, seePolicyVersion } from './policy-versions.ts';
import { PROPERTIES, type PropertyName } from './properties.ts';
import { judgeBegun, learnInForce, seeInForce } from './publishing.ts';
import { seeMovedDate } from './rescheduling.ts';
import { Secrets } from './secrets.ts';
import { seePut, seeRemoved, seeRestored } from './source-changes.ts';
import { seeUnitsRestored } from './unit-changes.ts';
import { beforeRecordPut, judgeNamed, noteRecordPut, noteReported, seeUnit } from './units.ts';
import { asNumber, asText } from './values.ts';
import { partiesOf, seeAbandoned, seeKeyWritten, seeStored, seeVaultRemoved } from './vault-changes.ts';

type Written = Extract<Observation, { readonly what: 'ledger written' | 'key written' }>;

export class Judge implements JudgePort {
  readonly #known: Known;
  readonly #secrets: Secrets;
  readonly #violations: Violation[] = [];
  readonly #reported = new Set<string>();
  readonly #report = (property: PropertyName, text: string): void => {
    const line = `${property}: ${text}`;
    if (this.#reported.has(line)) return;
    this.#reported.add(line);
    this.#violations.push({ promise: PROPERTIES[property].promise, property, text });
  };

  constructor(facts: WorldFacts) {
    this.#known = new Known(facts);
    this.#secrets = new Secrets(facts.canary);
  }

  get violations(): readonly Violation[] {
    return this.#violations;
  }

  async see(seen: Observation, physical: Physical): Promise<void> {
    const known = this.#known;
    const report = this.#report;
    known.step += 1;
    known.beganAt ??= physical.now();
    if (known.step === 1) await this.#adopt(seen, physical);
    if (seeUnit(known, report, seen, physical)) return;
    switch (seen.what) {
      case 'file put':
      case 'file hidden':
      case 'file removed':
      case 'children looked for':
        break;
      case 'source put':
        beforeRecordPut(known, seen, physical.now());
        seePut(known, report, seen, physical.now());
        noteRecordPut(known, seen);
        this.#secrets.addMail(known.record(seen.record).facts.mail);
        break;
      case 'source removed':
        seeRemoved(known, report, seen, physical.now());
        judgeNamed(known, report, seen, physical.now());
        break;
      case 'vault stored':
        await seeStored(known, report, this.#secrets, seen);
        break;
      case 'vault removed':
        seeVaultRemoved(known, report, seen, physical);
        break;
      case 'ledger written':
      case 'key written':
        await this.#seeWritten(seen, physical);
        break;
      case 'inventory read':
        for (const vaultArchiveId of seen.vaultArchiveIds) {
          const file = known.fileOf(seen.vault, vaultArchiveId);
          if (file !== undefined) file.isListed = true;
        }
        break;
      case 'approval said':
      case 'exception end asked':
        seeSaid(known, seen, physical.now());
        break;
      case 'exception asked':
        known.labelsAsked.set(seen.name, seen.labels);
        this.#secrets.addLabels(seen.labels);
        break;
      case 'expiry ordered':
        known.expiryOrdered.add(seen.policy);
        break;
      case 'policy published':
        learnPolicy(known, seen.policy);
        break;
      case 'export returned':
        seeReturned(known, seen);
        break;
      case 'offboarding asked':
        seeOffboardingAsked(known, seen);
        break;
      case 'retrieval open':
        known.openRetrievals.set(seen.retrieval, seen.archive);
        break;
      case 'restored':
        seeRestored(known, report, seen, physical.now());
        seeUnitsRestored(known, report, seen);
        break;
      case 'damage':
        await this.#seeDamage(seen, physical);
        break;
      default:
        seeBrake(known, report, seen, physical.now());
    }
  }

  async end(physical: Physical): Promise<void> {
    judgeEnd(this.#known, this.#report, physical);
  }

  async #seeWritten({ what, by, collection, id, before, after }: Written, physical: Physical): Promise<void> {
    const known = this.#known;
    const isKey = what === 'key written';
    if (isKey && collection === 'archiveKeys') {
      await seeKeyWritten(known, this.#report, this.#secrets, { id, before, after });
    }
    if (after !== null) {
      const where = `${isKey ? 'key store' : 'ledger'} document ${collection}/${id}`;
      this.#secrets.lookAtDocument(this.#report, where, before, after);
    }
    if (isKey) return;
    const write = { by, before, after };
    if (collection === 'audit') seeAudit(known, this.#report, before, after);
    else if (collection === 'archives') {
      judgeEarly(known, this.#report, write);
      judgeBegun(known, this.#report, 'Archive', write, physical.now());
      seeMovedDate(known, this.#report, write);
      seeArchiveWritten(known, this.#report, write, physical);
    } else if (collection === 'approvals') seeApproval(known, this.#report, write, physical.now());
    else if (collection === 'exceptions') seeException(known, this.#report, write, physical.now());
    else if (collection === 'quarantine' && after !== null) noteReported(known, after);
    else if (collection === 'holds') seeHold(known, this.#report, write);
    else if (collection === 'policyVersions') seePolicyVersion(known, after);
    else if (collection === 'policiesInForce') seeInForce(known, this.#report, write, physical.now());
    else if (collection === 'expirations') {
      if (before === null && after !== null) judgeDisposalGrant(known, this.#report, after);
      if (before === null && after !== null) judgeOffboarding(known, this.#report, after);
      judgeBegun(known, this.#report, 'Expiration', write, physical.now());
      seeExpiration(known, this.#report, write, physical.now());
    } else if (collection === 'attempts' && after?.['state'] === 'abandoned') seeAbandoned(known, this.#report, id);
  }

  async #seeDamage({ kind, id }: Extract<Observation, { readonly what: 'damage' }>, physical: Physical): Promise<void> {
    const known = this.#known;
    if (kind === 'ledger set back') {
      known.isLedgerSetBack = true;
      forgetBrakes(known, physical);
      forgetApprovals(known, physical);
      this.#readLedger(physical);
      return;
    }
    if (kind === 'key store set back') {
      known.keyDamage.isSetBack = true;
      await this.#readKeys(physical);
      return;
    }
    known.damagedIds.set(id, new Set([...(known.damagedIds.get(id) ?? []), kind]));
    for (const file of known.files.values()) {
      const { archive, attempt } = file.parties ?? {};
      if (![file.file.vaultArchiveId, archive, attempt].includes(id)) continue;
      file.damage = new Set([...file.damage, kind]);
      if (kind === 'file lost') file.inVault = false;
    }
  }

  /** What was there before anyone looked. */
  async #adopt(seen: Observation, physical: Physical): Promise<void> {
    const known = this.#known;
    for (const record of physical.source()) {
      if (seen.what === 'source put' && seen.record.id === record.id && seen.record.namespace === record.namespace)
        continue;
      const put = { what: 'source put', by: 'application', record, before: null } as const;
      if (seeUnit(known, this.#report, put, physical)) continue;
      seePut(known, this.#report, put, Number.NEGATIVE_INFINITY);
      noteRecordPut(known, put);
      this.#secrets.addMail(known.record(record).facts.mail);
    }
    if (seen.what !== 'ledger written') this.#readLedger(physical);
    if (seen.what !== 'key written') await this.#readKeys(physical);
    for (const file of physical.vault()) {
      if (seen.what === 'vault stored' && seen.file.vaultArchiveId === file.vaultArchiveId) continue;
      if (known.files.has(fileKey(file.vault, file.vaultArchiveId)) || partiesOf(file.description) === null) continue;
      await seeStored(known, this.#report, this.#secrets, { what: 'vault stored', by: 'application', file });
    }
  }

  /** The ledger as it is, whatever was seen of it before. */
  #readLedger(physical: Physical): void {
    const known = this.#known;
    known.audit.clear();
    for (const block of physical.ledger('audit')) seeAudit(known, this.#report, null, block);
    const documents = new Map<string, RawDocument>(physical.ledger('archives').map((each) => [each._id, each]));
    for (const id of new Set([...known.archives.keys(), ...documents.keys()])) {
      const archive = known.archive(id);
      archive.document = documents.get(id) ?? null;
      archive.highestEpoch = asNumber(archive.document?.['epoch']) ?? 0;
      archive.claimedBy = null;
      if (archive.document?.['state'] === 'verified')
        archive.everVerified.add(asText(archive.document['attempt']) ?? '');
    }
    known.expirations.clear();
    for (const each of physical.ledger('expirations')) known.expirations.set(each._id, each);
    for (const attempt of known.attempts.values()) attempt.isAbandoned = false;
    for (const each of physical.ledger('attempts')) known.attempt(each._id).isAbandoned = each['state'] === 'abandoned';
    for (const version of physical.ledger('policyVersions')) seePolicyVersion(known, version);
    learnInForce(known, physical);
  }

  async #readKeys(physical: Physical): Promise<void> {
    for (const attempt of this.#known.attempts.values()) attempt.key = 'none';
    for (const after of physical.keyStore('archiveKeys')) {
      await seeKeyWritten(this.#known, this.#report, this.#secrets, { id: after._id, before: null, after });
    }
  }
}
