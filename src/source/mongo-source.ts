/** The source on a MongoDB server, or one that speaks its protocol. Each question has a file of its own. */
import type { MongoClient } from 'mongodb';
import type { Namespace } from '../ids.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import { childNames, rootsThere } from './child-names.ts';
import { childrenOf, weighChildren } from './children.ts';
import { inspect } from './mongo-inspect.ts';
import { inspectLookUp, readByKey } from './mongo-look-up.ts';
import { partitionsOf } from './mongo-partitions.ts';
import { findOne, readByIds, serverTime, summarise } from './mongo-read.ts';
import { type ScanRange, scanPartition } from './mongo-scan.ts';
import { unfitRecords } from './mongo-unfit.ts';
import { deleteGuarded, insertMissing, replaceGuarded } from './mongo-write.ts';
import type { DatasetShape, Partition, Party, RawRecord, Replacement, SourcePort, TriggerRange } from './port.ts';
import { PureAnswers } from './pure-answers.ts';
import type { ChildShape } from './unit-shape.ts';

export class MongoSource extends PureAnswers implements SourcePort {
  readonly #client: MongoClient;

  /** @param client From `connectMongo`; closed by whoever opened it. */
  constructor(client: MongoClient) {
    super();
    this.#client = client;
  }

  serverTime() {
    return serverTime(this.#client);
  }

  inspect(dataset: DatasetShape) {
    return inspect(this.#client, dataset);
  }

  partitions(dataset: DatasetShape, before: number) {
    return partitionsOf(this.#client, dataset, before);
  }

  summarise(partition: Partition, range: TriggerRange) {
    return summarise(this.#client, partition, range);
  }

  scan(partition: Partition, range: ScanRange, signal?: AbortSignal) {
    return scanPartition(this.#client, partition, range, signal);
  }

  unfit(dataset: DatasetShape, of?: Party) {
    return unfitRecords(this.#client, dataset, of);
  }

  readByIds(namespace: Namespace, idBytes: readonly Uint8Array[]) {
    return readByIds(this.#client, namespace, idBytes);
  }

  deleteGuarded(dataset: DatasetShape, records: readonly RawRecord[], warrant: ClearingWarrant) {
    return deleteGuarded(this.#client, dataset, records, warrant);
  }

  replaceGuarded(dataset: DatasetShape, replacements: readonly Replacement[], warrant: ClearingWarrant) {
    return replaceGuarded(this.#client, dataset, replacements, warrant);
  }

  weighChildren(child: ChildShape, parents: readonly Uint8Array[]) {
    return weighChildren(this.#client, child, parents);
  }

  children(child: ChildShape, parents: readonly Uint8Array[]) {
    return childrenOf(this.#client, child, parents);
  }

  childNames(child: ChildShape, after: Uint8Array | null, limit: number) {
    return childNames(this.#client, child, after, limit);
  }

  rootsThere(namespace: Namespace, field: string, values: readonly Uint8Array[]) {
    return rootsThere(this.#client, namespace, field, values);
  }

  inspectLookUp(collection: Namespace, key: string) {
    return inspectLookUp(this.#client, collection, key);
  }

  readByKey(collection: Namespace, key: string, values: readonly Uint8Array[]) {
    return readByKey(this.#client, collection, key, values);
  }

  insertMissing(namespace: Namespace, records: readonly Uint8Array[]) {
    return insertMissing(this.#client, namespace, records);
  }

  findOne(namespace: Namespace, idText: string) {
    return findOne(this.#client, namespace, idText);
  }
}
