/** Opens a connection that fails at once and clearly when there is no server. */
import { MongoClient } from 'mongodb';
import { MoraineError } from '../errors.ts';
import { mongoAddress } from '../without-credentials.ts';
import { translateMongoError } from './driver-errors.ts';

/** How long a command looks for a usable server before it says that there is none. */
const SERVER_SELECTION_MS = 5_000;

/**
 * @throws MoraineError MONGODB_UNAVAILABLE within 5 s, CONFIG_INVALID for an address that is none, MONGODB_REFUSED for
 * wrong credentials. No text holds the credentials of the url.
 */
export async function connectMongo(options: { readonly url: string; readonly appName?: string }): Promise<MongoClient> {
  const shown = mongoAddress(options.url);
  let client: MongoClient;
  try {
    client = new MongoClient(options.url, {
      appName: options.appName ?? 'moraine',
      serverSelectionTimeoutMS: SERVER_SELECTION_MS,
      connectTimeoutMS: SERVER_SELECTION_MS,
      readPreference: 'primary',
      readConcern: { level: 'majority' },
      writeConcern: { w: 'majority' },
      // Bytes are passed on as they came; the driver must not refuse what the server stores.
      enableUtf8Validation: false,
    });
  } catch {
    // The driver's own message may quote the url with its password, so it is not passed on.
    throw new MoraineError('CONFIG_INVALID', `mongodb.url is not an address that MongoDB understands: ${shown}`);
  }
  try {
    await client.connect();
    await client.db('admin').command({ ping: 1 });
    return client;
  } catch (error) {
    await client.close().catch(() => undefined); // It never opened; the first error is the one that counts.
    throw translateMongoError(error, `answer at ${shown}`);
  }
}
