import { MIB } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import type { ByteRange } from './port.ts';

/** Amazon Glacier, "Initiate Multipart Upload": parts are 2^n MiB up to 4 GiB. We hold a part in memory, so less. */
const PART_BYTES_MAX = 512 * MIB;
/** One read of a retrieval's output is held in memory. */
const READ_BYTES_MAX = 64 * MIB;

/** Asserts that a part size is 2^n MiB and within what the backend takes. */
export function assertPartBytes(partBytes: number, smallest: number): void {
  const mebibytes = partBytes / MIB;
  const isPower = Number.isInteger(mebibytes) && mebibytes > 0 && Number.isInteger(Math.log2(mebibytes));
  if (!isPower || partBytes < smallest || partBytes > PART_BYTES_MAX) {
    throw new MoraineError(
      'INTERNAL',
      `A part of ${partBytes} bytes is not 2^n MiB between ${smallest} and ${PART_BYTES_MAX}.`,
    );
  }
}

/** Asserts that a range of a retrieval's output is one that can be read at once. */
export function assertReadRange(range: ByteRange): void {
  const length = range.end - range.start;
  if (
    !Number.isSafeInteger(range.start) ||
    range.start < 0 ||
    !Number.isSafeInteger(length) ||
    length <= 0 ||
    length > READ_BYTES_MAX
  ) {
    throw new MoraineError('INTERNAL', `The range ${range.start}-${range.end} cannot be read at once.`);
  }
}

/** Asserts that a range of an archive can be asked for: Glacier wants whole MiB, but for the file's end. */
export function assertRetrievalRange(range: ByteRange | null): void {
  if (range === null) return;
  if (range.start % MIB !== 0 || range.start < 0 || range.end <= range.start) {
    throw new MoraineError('INTERNAL', `The range ${range.start}-${range.end} does not begin at a whole MiB.`);
  }
}
