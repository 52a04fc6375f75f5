/**
 * Sends write commands whose documents are bytes already. The driver's public API takes documents only as JavaScript
 * values, which it encodes again; its own wire format has a place for encoded ones, the document sequence (OP_MSG, section
 * kind 1), which it uses for its batches. That class is internal to the driver, so this is the only file that touches it:
 * the driver's version is pinned, and the contract tests fail if it moves.
 */
import type { Document, MongoClient } from 'mongodb';
import { makeDocumentSequence } from 'mongodb/lib/cmap/commands.js';
import type { Namespace } from '../ids.ts';
import { splitNamespace } from './mongo-query.ts';

export interface WriteError {
  readonly index: number;
  readonly code: number;
}

export interface WriteReply {
  /** Documents inserted or deleted; of an update, those that matched. */
  readonly count: number;
  readonly errors: readonly WriteError[];
  /** Code of a write concern that was not reached: the effect is there, but a majority may not have it yet. */
  readonly unacknowledged: number | null;
}

const SEQUENCES = { insert: 'documents', update: 'updates', delete: 'deletes' } as const;

/** `insert`, `update` or `delete` with statements as bytes; majority write concern, unordered, never retried by the driver. */
export async function sendWrite(
  client: MongoClient,
  namespace: Namespace,
  command: keyof typeof SEQUENCES,
  statements: readonly Uint8Array[],
): Promise<WriteReply> {
  const { database, collection } = splitNamespace(namespace);
  const field = SEQUENCES[command];
  const reply = await client.db(database).command({
    [command]: collection,
    ordered: false,
    writeConcern: { w: 'majority' },
    [field]: makeDocumentSequence(field, statements.map(nameless), statements),
  });
  return {
    count: Number(reply['n'] ?? 0),
    errors: asList(reply['writeErrors']).map((error) => ({
      index: Number(error['index']),
      code: Number(error['code']),
    })),
    unacknowledged: codeOf(reply['writeConcernError']),
  };
}

/** The driver shows these to its command monitoring, where no record content belongs. */
function nameless(): Document {
  return {};
}

function asList(value: unknown): Document[] {
  return Array.isArray(value) ? value : [];
}

function codeOf(value: unknown): number | null {
  return typeof value === 'object' && value !== null && 'code' in value ? Number(value.code) : null;
}
