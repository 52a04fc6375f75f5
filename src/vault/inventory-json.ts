/**
 * Reads Glacier's inventory as it comes, however long it is: one archive's JSON at a time is held, never the document.
 *
 *     {"VaultARN":"…","InventoryDate":"…","ArchiveList":[{…},{…}]}
 *
 * A document that ends early throws: an archive that merely was not read must never look like one that is not there.
 */
import { z } from 'zod';
import { MoraineError } from '../errors.ts';

const archiveSchema = z.object({
  ArchiveId: z.string().min(1),
  ArchiveDescription: z.string().nullish(),
  CreationDate: z.string(),
  Size: z.number(),
  SHA256TreeHash: z.string().nullish(),
});
export type InventoryArchive = z.output<typeof archiveSchema>;

const headerSchema = z.object({ InventoryDate: z.string(), ArchiveList: z.array(z.never()) });

/** Members of the document are at this depth, archives inside `[` one deeper. */
const LIST_DEPTH = 2;

export class InventoryReader {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  /** The document without its archives: what is outside the list, a few hundred characters. */
  #frame = '';
  #archive = '';
  #depth = 0;
  #isString = false;
  #isEscaped = false;

  /** The archives that these bytes complete. */
  push(bytes: Uint8Array): InventoryArchive[] {
    return this.#read(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The inventory's date, as soon as it has been read; else null. */
  get inventoryDate(): Date | null {
    const match = /"InventoryDate"\s*:\s*"([^"]+)"/.exec(this.#frame);
    return match === null ? null : dateOf(match[1] ?? '');
  }

  /** Throws unless the document was whole. */
  end(): void {
    const header = this.#depth === 0 ? headerSchema.safeParse(parse(this.#frame)) : null;
    if (header === null || !header.success) throw broken('it ends early, or is not an inventory');
  }

  #read(text: string): InventoryArchive[] {
    const complete: InventoryArchive[] = [];
    let from = 0;
    for (let i = 0; i < text.length; i += 1) {
      const before = this.#depth;
      this.#step(text.charCodeAt(i));
      const opens = before === LIST_DEPTH && this.#depth > LIST_DEPTH;
      const closes = before > LIST_DEPTH && this.#depth === LIST_DEPTH;
      if (opens) {
        // Between archives there are commas and white space only: the frame keeps an empty list.
        this.#frame += text.slice(from, i).replace(/[\s,]+$/, '');
        from = i;
      } else if (closes) {
        this.#archive += text.slice(from, i + 1);
        complete.push(archiveOf(this.#archive));
        this.#archive = '';
        from = i + 1;
      }
    }
    if (this.#depth > LIST_DEPTH) this.#archive += text.slice(from);
    else this.#frame += this.#depth === LIST_DEPTH ? text.slice(from).replace(/[\s,]+$/, '') : text.slice(from);
    return complete;
  }

  #step(unit: number): void {
    if (this.#isString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (unit === BACKSLASH) this.#isEscaped = true;
      else if (unit === QUOTE) this.#isString = false;
    } else if (unit === QUOTE) this.#isString = true;
    else if (unit === BRACE_OPEN || unit === BRACKET_OPEN) this.#depth += 1;
    else if (unit === BRACE_CLOSE || unit === BRACKET_CLOSE) this.#depth -= 1;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;

function archiveOf(text: string): InventoryArchive {
  const archive = archiveSchema.safeParse(parse(text));
  if (!archive.success) throw broken('an entry has not the form of an archive');
  return archive.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw broken('it is not JSON', cause);
  }
}

function dateOf(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw broken('its date cannot be read');
  return date;
}

function broken(why: string, cause?: unknown): MoraineError {
  return new MoraineError('VAULT_UNAVAILABLE', `The inventory that the vault sent cannot be used: ${why}.`, { cause });
}
