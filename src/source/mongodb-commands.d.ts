/** The part of the driver's internals that `raw-command.ts` uses; the driver publishes no types for it. */
declare module 'mongodb/lib/cmap/commands.js' {
  import type { Document } from 'mongodb';

  /** A list of documents that goes over the wire as the given bytes. */
  export function makeDocumentSequence(
    field: string,
    documents: readonly Document[],
    serialized: readonly Uint8Array[],
  ): Document;
}
