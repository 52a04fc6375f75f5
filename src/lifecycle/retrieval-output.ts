/** The output of a retrieval, wherever it lies: fetched into the folder for retrievals, or in the vault still. */
import { isMoraineError, MoraineError } from '../errors.ts';
import type { RetrievalDocument } from '../ledger/retrievals.ts';
import type { ByteRange } from '../vault/port.ts';
import { assertNotStopped, type Context, vaultOf } from './context.ts';

/** How much of the output is read at once. */
const READ_BYTES = 16 * 1024 * 1024;

/** Can it be read now? */
export function isReadable({ state }: Pick<RetrievalDocument, 'state'>): boolean {
  return state === 'ready' || state === 'fetched';
}

/** All of its `total` bytes in order; `beforeChunk` is called before each read and may throw. May be called again: it is read anew. Throws RETRIEVAL_ELSEWHERE for a fetched file that this process does not have and that the vault has dropped. */
export async function* outputOf(
  context: Context,
  retrieval: RetrievalDocument,
  total: number,
  beforeChunk: () => Promise<void> = async () => undefined,
): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < total; start += READ_BYTES) {
    assertNotStopped(context);
    await beforeChunk();
    yield await readOutput(context, retrieval, { start, end: Math.min(total, start + READ_BYTES) });
  }
}

/** Bytes of it; offsets count from the start of what was retrieved. At most 64 MiB. Throws as {@link outputOf} does. */
export async function readOutput(
  context: Context,
  retrieval: RetrievalDocument,
  range: ByteRange,
): Promise<Uint8Array> {
  const isFetched = retrieval.state === 'fetched';
  const file = isFetched ? await context.retrievals?.files?.read(retrieval._id, range) : null;
  if (file != null) return file;
  try {
    return await outOfVault(context, retrieval, range);
  } catch (error) {
    const isGone = isMoraineError(error, 'VAULT_NOT_FOUND') || isMoraineError(error, 'RETRIEVAL_NOT_READY');
    if (!isFetched || !isGone) throw error;
    throw new MoraineError(
      'RETRIEVAL_ELSEWHERE',
      `Retrieval ${retrieval._id} of archive ${retrieval.archive} was fetched, its file is not in the folder for retrievals here, and the vault has dropped its output.`,
      { ids: { retrieval: retrieval._id, archive: retrieval.archive }, cause: error },
    );
  }
}

/** The vault's own output, also of one that is being fetched. */
export async function outOfVault(
  context: Context,
  { location, jobId }: RetrievalDocument,
  range: ByteRange,
): Promise<Uint8Array> {
  return await vaultOf(context, location.key).readRetrieval(location, jobId, range);
}
