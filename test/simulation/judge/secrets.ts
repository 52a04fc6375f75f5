/** Promise 8: what must never be readable outside the source, sealed members and restored output. */
import type { RawDocument, VaultFile } from './observations.ts';
import type { Report } from './properties.ts';
import { asBytes, sameBytes } from './values.ts';

interface SecretKey {
  readonly attempt: string;
  readonly bytes: Buffer;
  readonly texts: readonly string[];
}

/** Shorter than any text form of a key: most strings of a document need no closer look. */
const SHORTEST_KEY_TEXT = 43;
const KEY_BYTES = 32;
/** Shorter ones stand in random bytes by chance. */
const SHORTEST_MAIL = 7;

export class Secrets {
  readonly #canary: string;
  readonly #mails = new Set<string>();
  readonly #labels = new Set<string>();
  readonly #keys: SecretKey[] = [];
  #isOfPolicy = false;

  constructor(canary: string) {
    this.#canary = canary;
  }

  addMail(mail: string | null): void {
    if (mail !== null && mail.length >= SHORTEST_MAIL && mail.includes('@')) this.#mails.add(mail);
  }

  /** Values that an exception names: kept as codes only. */
  addLabels(labels: readonly string[]): void {
    for (const label of labels) this.#labels.add(label);
  }

  addKey(attempt: string, bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes);
    // Base64 without its padding is found inside the padded form, too.
    const texts = [buffer.toString('hex'), buffer.toString('base64').replaceAll('=', ''), buffer.toString('base64url')];
    this.#keys.push({ attempt, bytes: buffer, texts });
  }

  /** Looks at what was written; text that stood in the same place before was looked at then. */
  lookAtDocument(report: Report, where: string, before: RawDocument | null, after: RawDocument): void {
    // A policy names its tiers in the open: so do its version, and what a person is shown who approves it.
    this.#isOfPolicy = where.includes('policyVersions/') || after['kind'] === 'policy';
    this.#walk(report, where, before, after);
    this.#isOfPolicy = false;
  }

  lookAtFile(report: Report, { vaultArchiveId, description, bytes }: VaultFile): void {
    this.#text(report, `the description of file ${vaultArchiveId}`, description);
    this.#bytes(report, `file ${vaultArchiveId}`, bytes);
  }

  #walk(report: Report, where: string, before: unknown, value: unknown): void {
    if (value === before || value === null) return;
    if (typeof value === 'string') {
      this.#text(report, where, value);
      return;
    }
    if (typeof value !== 'object' || value instanceof Date) return;
    const bytes = asBytes(value);
    if (bytes !== null) {
      const earlier = asBytes(before);
      if (earlier === null || !sameBytes(earlier, bytes)) this.#bytes(report, where, bytes);
      return;
    }
    const earlier: object = typeof before === 'object' && before !== null ? before : {};
    for (const [name, member] of Object.entries(value)) {
      this.#walk(report, where, Reflect.get(earlier, name), member);
    }
  }

  #text(report: Report, where: string, text: string): void {
    if (text.includes(this.#canary)) report('content-in-the-open', `A record's text is in ${where}.`);
    if (text.includes('@')) {
      for (const mail of this.#mails) {
        if (text.includes(mail)) report('content-in-the-open', `The mail address of a record is in ${where}.`);
      }
    }
    for (const label of this.#isOfPolicy ? [] : this.#labels) {
      if (text.includes(label)) report('content-in-the-open', `A value that an exception names is in ${where}.`);
    }
    if (text.length < SHORTEST_KEY_TEXT) return;
    const lower = text.toLowerCase();
    for (const { attempt, texts } of this.#keys) {
      const [hex = '', ...rest] = texts;
      if (lower.includes(hex) || rest.some((form) => text.includes(form)))
        report('archive-key-in-the-open', `The archive key of attempt ${attempt} is in ${where}.`);
    }
  }

  #bytes(report: Report, where: string, bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (buffer.includes(this.#canary)) report('content-in-the-open', `A record's text is in the bytes of ${where}.`);
    for (const mail of buffer.includes('@') ? this.#mails : []) {
      if (buffer.includes(mail))
        report('content-in-the-open', `The mail address of a record is in the bytes of ${where}.`);
    }
    if (buffer.length < KEY_BYTES) return;
    for (const { attempt, bytes: key } of this.#keys) {
      if (buffer.includes(key))
        report('archive-key-in-the-open', `The archive key of attempt ${attempt} is in ${where}.`);
    }
  }
}
