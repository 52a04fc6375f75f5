/** Databases that a drill restores into: of its own, and dropped when it has compared them. */
import type { MongoClient } from 'mongodb';
import { MoraineError } from '../errors.ts';
import { asking } from './driver-errors.ts';

const SCRATCH = /^moraine_drill_[0-9a-z_]+$/;

/** The database of a drill: no other has its name. */
export function scratchName(drill: string): string {
  return `moraine_drill_${drill.replaceAll('-', '_')}`;
}

/** Idempotent. Throws INTERNAL for any other database. */
export async function dropScratch(client: MongoClient, database: string): Promise<void> {
  if (!SCRATCH.test(database)) throw new MoraineError('INTERNAL', `${database} is no database of a drill.`);
  await asking(`drop ${database}`, () => client.db(database).dropDatabase());
}
