/** How large an archive file can become: the part size of an upload is chosen before its first byte exists. */
import { INDEX_ENTRY_FIXED_BYTES } from './index-pages.ts';
import { SEGMENT_BYTES } from './segments.ts';

/** zstd's bound for data that do not compress is under 1 % and 1 KiB above them. */
const INCOMPRESSIBLE = 1.01;
/** Tar header and padding, message header with its context, frames, and the member's entry in the manifest. */
const MEMBER_OVERHEAD_BYTES = 8 * 1024;
/** README, manifest without members, signature, end of the file, and the last page of segments and of the index. */
const FILE_OVERHEAD_BYTES = 64 * 1024;

/** An upper bound, in bytes, of the file that holds `records` with `plainBytes` of BSON. */
export function estimateFileBytes(plainBytes: number, records: number): number {
  // An index entry holds the record's `_id` twice, and `_id` is at most the whole record.
  const indexBytes = records * INDEX_ENTRY_FIXED_BYTES + 2 * plainBytes;
  // Two neighbouring pages together are always more than one page full.
  const pages = (bytes: number) => 2 * Math.ceil(bytes / SEGMENT_BYTES) + 1;
  const members = pages(plainBytes) + pages(indexBytes);
  return Math.ceil((plainBytes + indexBytes) * INCOMPRESSIBLE) + members * MEMBER_OVERHEAD_BYTES + FILE_OVERHEAD_BYTES;
}
