/**
 * Cuts the bytes of an archive file into parts and sends them, one part on its way while the next one fills: at most
 * two parts are in memory. A file that ends before its first part is full is stored in one call.
 */

import { isMoraineError } from '../errors.ts';
import type { ArchiveLease } from '../ledger/archives.ts';
import { rememberUpload } from '../ledger/attempts.ts';
import type { Store } from '../ledger/store.ts';
import type { StoredArchive, UploadHandle, UploadIntent, VaultLocation, VaultPort } from '../vault/port.ts';

const FIRST_BUFFER_BYTES = 256 * 1024;
const GROWTH = 4;

export class PartSender {
  readonly #vault: VaultPort;
  readonly #location: VaultLocation;
  readonly #intent: UploadIntent;
  readonly #lease: ArchiveLease;
  readonly #partBytes: number;
  readonly #remember: (upload: UploadHandle) => Promise<void>;
  /** Grows up to a part: most files of small customers end long before. */
  #part: Buffer;
  /** The part that was sent last. It is filled again only after the next full part waited for it to arrive. */
  #spare: Buffer | null = null;
  #filled = 0;
  #sent = 0;
  #upload: UploadHandle | null = null;
  #underWay: Promise<void> = Promise.resolve();

  constructor(
    ports: { readonly vault: VaultPort; readonly store: Store },
    lease: ArchiveLease,
    to: {
      readonly location: VaultLocation;
      readonly intent: UploadIntent;
      readonly partBytes: number;
      /** Writes down that the upload is open, before its first part goes out. Absent: with the attempt. */
      readonly remember?: (upload: UploadHandle) => Promise<void>;
    },
  ) {
    this.#vault = ports.vault;
    this.#lease = lease;
    this.#location = to.location;
    this.#intent = to.intent;
    this.#partBytes = to.partBytes;
    this.#remember = to.remember ?? ((upload) => rememberUpload(ports.store, to.intent.attempt, upload));
    this.#part = Buffer.allocUnsafe(Math.min(to.partBytes, FIRST_BUFFER_BYTES));
  }

  /** Takes the next bytes of the file. Waits while a full part is on its way and another is full. */
  async take(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      // Full from before only after a failure: sending it fails again, instead of never ending.
      if (this.#filled === this.#partBytes) await this.#sendFullPart();
      if (this.#filled === this.#part.length) this.#grow();
      const taken = Math.min(bytes.length - at, this.#part.length - this.#filled);
      this.#part.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === this.#partBytes) await this.#sendFullPart();
    }
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(Math.min(this.#partBytes, this.#part.length * GROWTH));
    this.#part.copy(larger, 0, 0, this.#filled);
    this.#part = larger;
  }

  /** Sends what is left and completes the file. */
  async finish(total: { readonly bytes: number; readonly treeHash: string }): Promise<StoredArchive> {
    await this.#underWay;
    await this.#lease.keep();
    if (this.#upload === null) {
      return await this.#vault.storeWhole(
        this.#location,
        this.#intent,
        this.#part.subarray(0, this.#filled),
        total.treeHash,
      );
    }
    if (this.#filled > 0)
      await this.#vault.sendPart(this.#location, this.#upload, this.#sent, this.#part.subarray(0, this.#filled));
    return await this.#complete(this.#upload, total);
  }

  /** For whoever gives the attempt up: when this resolves no part is on its way, so that none arrives after the upload was aborted. */
  async settled(): Promise<void> {
    await this.#underWay.catch(() => undefined);
  }

  /** Where the reply was lost the vault is asked again, once: it finds what happened. A whole upload is not thrown away for one lost reply. */
  async #complete(
    upload: UploadHandle,
    total: { readonly bytes: number; readonly treeHash: string },
  ): Promise<StoredArchive> {
    await this.#lease.keep();
    try {
      return await this.#vault.completeUpload(this.#location, upload, total);
    } catch (error) {
      if (!isMoraineError(error, 'VAULT_OUTCOME_UNKNOWN')) throw error;
      await this.#lease.keep();
      return await this.#vault.completeUpload(this.#location, upload, total);
    }
  }

  async #sendFullPart(): Promise<void> {
    await this.#underWay;
    await this.#lease.keep();
    this.#upload ??= await this.#begin();
    const upload = this.#upload;
    const full = this.#part;
    this.#part = this.#spare ?? Buffer.allocUnsafe(this.#partBytes);
    this.#spare = full;
    this.#underWay = this.#vault.sendPart(this.#location, upload, this.#sent, full);
    // A failure is thrown where the promise is awaited; this keeps Node from calling it unhandled before that.
    this.#underWay.catch(() => undefined);
    this.#sent += 1;
    this.#filled = 0;
  }

  async #begin(): Promise<UploadHandle> {
    const upload = await this.#vault.beginUpload(this.#location, this.#intent, this.#partBytes);
    await this.#remember(upload);
    return upload;
  }
}
