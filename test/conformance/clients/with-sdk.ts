/** Every operation of the service through `@aws-sdk/client-glacier`, the SDK for JavaScript. */
import * as glacier from '@aws-sdk/client-glacier';
import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  DeleteTopicCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import { z } from 'zod';
import { until } from '../../harness/daemons.ts';
import { Listening } from '../../harness/listening.ts';
import {
  ACCOUNT,
  type ClientWorld,
  CREDENTIALS,
  equal,
  MIB,
  type Proof,
  Proofs,
  pattern,
  policyOf,
  REGION,
  treeHash,
  YOUNG,
} from '../proof.ts';

const accountId = '-';
const vaultName = 'sdk-vault';
const VAULT_ARN = `arn:aws:glacier:${REGION}:${ACCOUNT}:vaults/${vaultName}`;
const DELIVERY = z.object({ Type: z.string(), Token: z.string().optional(), Message: z.string() });
const INVENTORY = z.object({
  ArchiveList: z.array(z.object({ ArchiveId: z.string(), SHA256TreeHash: z.string(), Size: z.number() })),
});

export async function withSdk(world: ClientWorld): Promise<Proof[]> {
  const proofs = new Proofs();
  const client = new glacier.GlacierClient({
    endpoint: world.endpoint,
    region: REGION,
    credentials: CREDENTIALS,
    maxAttempts: 1,
  });
  const whole = pattern(5 * MIB + 4321, 'whole');
  const parts = pattern(3 * MIB + 99, 'parts');
  const made = { whole: '', parts: '' };

  await proofs.prove(
    'create, describe and list vaults, in pages',
    ['CreateVault', 'DescribeVault', 'ListVaults'],
    async () => {
      const names = [...'abcdefghijkl'].map((letter) => `sdk-${letter}`).concat(vaultName);
      for (const name of names) {
        const reply = await client.send(new glacier.CreateVaultCommand({ accountId, vaultName: name }));
        equal(reply.location, `/${ACCOUNT}/vaults/${name}`, 'location');
      }
      await glacier.waitUntilVaultExists({ client, maxWaitTime: 10 }, { accountId, vaultName });
      const described = await client.send(new glacier.DescribeVaultCommand({ accountId, vaultName }));
      equal([described.VaultARN, described.NumberOfArchives], [VAULT_ARN, 0]);
      const pages: (string | undefined)[][] = [];
      for await (const page of glacier.paginateListVaults({ client }, { accountId })) {
        pages.push((page.VaultList ?? []).map(({ VaultName }) => VaultName));
      }
      equal(
        pages.map(({ length }) => length),
        [10, 3],
        'sizes of pages',
      );
      equal(pages.flat(), names.toSorted(), 'names');
      const nowhere = new glacier.DescribeVaultCommand({ accountId, vaultName: 'nowhere' });
      equal(
        await refusal(client.send(nowhere)),
        `ResourceNotFoundException: Vault not found for ARN: ${VAULT_ARN.replace(vaultName, 'nowhere')}`,
      );
    },
  );

  await proofs.prove('delete an empty vault, twice', ['DeleteVault'], async () => {
    const remove = () => client.send(new glacier.DeleteVaultCommand({ accountId, vaultName: 'sdk-a' }));
    await remove();
    await remove();
    await glacier.waitUntilVaultNotExists({ client, maxWaitTime: 10 }, { accountId, vaultName: 'sdk-a' });
  });

  await proofs.prove('tag a vault', ['AddTagsToVault', 'ListTagsForVault', 'RemoveTagsFromVault'], async () => {
    const list = async () => (await client.send(new glacier.ListTagsForVaultCommand({ accountId, vaultName }))).Tags;
    const Tags = { owner: 'acme', kind: 'calls' };
    await client.send(new glacier.AddTagsToVaultCommand({ accountId, vaultName, Tags }));
    equal(await list(), Tags);
    await client.send(new glacier.RemoveTagsFromVaultCommand({ accountId, vaultName, TagKeys: ['kind'] }));
    equal(await list(), { owner: 'acme' });
  });

  await proofs.prove('upload an archive in one request; another checksum is refused', ['UploadArchive'], async () => {
    const send = (input: Partial<glacier.UploadArchiveCommandInput>) =>
      client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body: whole, ...input }));
    const reply = await send({ archiveDescription: 'in one' });
    equal(reply.checksum, treeHash(whole), 'tree hash');
    made.whole = reply.archiveId ?? '';
    equal(made.whole.length, 138, 'length of the id');
    const wrong = 'ab'.repeat(32);
    equal(
      await refusal(send({ checksum: wrong })),
      `InvalidParameterValueException: Checksum mismatch: expected ${wrong}, computed ${treeHash(whole)}`,
    );
  });

  await proofs.prove(
    'upload an archive in parts at the same time',
    ['InitiateMultipartUpload', 'UploadMultipartPart', 'ListParts', 'ListMultipartUploads', 'CompleteMultipartUpload'],
    async () => {
      const initiate = new glacier.InitiateMultipartUploadCommand({
        accountId,
        vaultName,
        partSize: String(MIB),
        archiveDescription: 'in parts',
      });
      const { uploadId = '' } = await client.send(initiate);
      const starts = [0, 1, 2, 3].map((i) => i * MIB);
      await Promise.all(
        starts.map(async (start) => {
          const body = parts.subarray(start, start + MIB);
          const range = `bytes ${start}-${start + body.length - 1}/*`;
          const sent = await client.send(
            new glacier.UploadMultipartPartCommand({ accountId, vaultName, uploadId, range, body }),
          );
          equal(sent.checksum, treeHash(body), 'tree hash of the part');
        }),
      );
      const uploads = await client.send(new glacier.ListMultipartUploadsCommand({ accountId, vaultName }));
      equal(
        uploads.UploadsList?.map(({ MultipartUploadId }) => MultipartUploadId),
        [uploadId],
      );
      const hashes: (string | undefined)[] = [];
      for await (const page of glacier.paginateListParts({ client, pageSize: 3 }, { accountId, vaultName, uploadId })) {
        hashes.push(...(page.Parts ?? []).map(({ SHA256TreeHash }) => SHA256TreeHash));
      }
      equal(
        hashes,
        starts.map((start) => treeHash(parts.subarray(start, start + MIB))),
        'parts',
      );
      const complete = new glacier.CompleteMultipartUploadCommand({
        accountId,
        vaultName,
        uploadId,
        archiveSize: String(parts.length),
        checksum: treeHash(parts),
      });
      const done = await client.send(complete);
      equal(done.checksum, treeHash(parts), 'tree hash of the archive');
      equal((await client.send(complete)).archiveId, done.archiveId, 'id when completed again');
      made.parts = done.archiveId ?? '';
    },
  );

  await proofs.prove('abort an upload', ['AbortMultipartUpload'], async () => {
    const { uploadId } = await client.send(
      new glacier.InitiateMultipartUploadCommand({ accountId, vaultName, partSize: String(MIB) }),
    );
    await client.send(new glacier.AbortMultipartUploadCommand({ accountId, vaultName, uploadId }));
    const list = client.send(new glacier.ListPartsCommand({ accountId, vaultName, uploadId }));
    equal(await refusal(list), `ResourceNotFoundException: The upload ID was not found: ${uploadId}`);
  });

  await proofs.prove(
    'tell a topic of completed jobs: a subscriber gets what DescribeJob says',
    ['SetVaultNotifications', 'GetVaultNotifications', 'DeleteVaultNotifications'],
    () =>
      withTopic(world.snsEndpoint, async (SNSTopic, messages) => {
        const vaultNotificationConfig = { SNSTopic, Events: ['ArchiveRetrievalCompleted'] };
        await client.send(new glacier.SetVaultNotificationsCommand({ accountId, vaultName, vaultNotificationConfig }));
        const get = () => client.send(new glacier.GetVaultNotificationsCommand({ accountId, vaultName }));
        equal((await get()).vaultNotificationConfig, vaultNotificationConfig);
        const jobParameters = { Type: 'archive-retrieval', ArchiveId: made.whole, Tier: 'Expedited' };
        const { jobId } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
        await world.advance('PT5M');
        await until('the subscriber is told', async () => messages().length > 0);
        const told = z.record(z.string(), z.unknown()).parse(JSON.parse(messages()[0] ?? ''));
        const { $metadata: _, ...described } = await client.send(
          new glacier.DescribeJobCommand({ accountId, vaultName, jobId }),
        );
        for (const [key, value] of Object.entries(described)) equal(told[key], value, key);
        await client.send(new glacier.DeleteVaultNotificationsCommand({ accountId, vaultName }));
        equal(
          await refusal(get()),
          `ResourceNotFoundException: No notification configuration is set for vault: ${VAULT_ARN}`,
        );
      }),
  );

  await proofs.prove(
    'retrieve an archive by job, whole and by range',
    ['InitiateJob', 'DescribeJob', 'ListJobs', 'GetJobOutput'],
    async () => {
      const jobParameters = {
        Type: 'archive-retrieval',
        ArchiveId: made.whole,
        Tier: 'Bulk',
        RetrievalByteRange: `0-${4 * MIB - 1}`,
      };
      const { jobId = '' } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
      const output = (range?: string) =>
        client.send(
          new glacier.GetJobOutputCommand({ accountId, vaultName, jobId, ...(range === undefined ? {} : { range }) }),
        );
      await world.advance('PT11H59M');
      equal(
        await refusal(output()),
        `InvalidParameterValueException: The job is not currently available for download: ${jobId}`,
      );
      await world.advance('PT1M');
      const described = await client.send(new glacier.DescribeJobCommand({ accountId, vaultName, jobId }));
      equal(
        [described.StatusCode, described.Tier, described.SHA256TreeHash],
        ['Succeeded', 'Bulk', treeHash(whole.subarray(0, 4 * MIB))],
      );
      const listed = await client.send(new glacier.ListJobsCommand({ accountId, vaultName, completed: 'true' }));
      equal(
        listed.JobList?.some((job) => job.JobId === jobId),
        true,
        'job among the completed',
      );
      const all = await output();
      equal(await bytesOf(all), whole.subarray(0, 4 * MIB), 'bytes');
      equal([all.status, all.checksum, all.archiveDescription], [200, treeHash(whole.subarray(0, 4 * MIB)), 'in one']);
      const part = await output(`bytes=${2 * MIB}-${4 * MIB - 1}`);
      equal(await bytesOf(part), whole.subarray(2 * MIB, 4 * MIB), 'bytes of the range');
      equal([part.status, part.checksum], [206, treeHash(whole.subarray(2 * MIB, 4 * MIB))]);
      equal((await output('bytes=7-1000')).checksum, undefined, 'tree hash of a range that is no node of the tree');
    },
  );

  await proofs.prove('an inventory after a day', ['InitiateJob', 'GetJobOutput'], async () => {
    await world.advance('P1D');
    const jobParameters = { Type: 'inventory-retrieval', Format: 'JSON' };
    const { jobId } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
    await world.advance('PT4H');
    const reply = await client.send(new glacier.GetJobOutputCommand({ accountId, vaultName, jobId }));
    const { ArchiveList } = INVENTORY.parse(JSON.parse((await bytesOf(reply)).toString()));
    const expected = [
      [made.whole, treeHash(whole), whole.length],
      [made.parts, treeHash(parts), parts.length],
    ];
    equal(
      ArchiveList.map(({ ArchiveId, SHA256TreeHash, Size }) => [ArchiveId, SHA256TreeHash, Size]),
      expected,
      'the inventory',
    );
  });

  await proofs.prove(
    'an access policy that denies',
    ['SetVaultAccessPolicy', 'GetVaultAccessPolicy', 'DeleteVaultAccessPolicy'],
    async () => {
      const policy = { Policy: policyOf(VAULT_ARN, {}) };
      await client.send(new glacier.SetVaultAccessPolicyCommand({ accountId, vaultName, policy }));
      const get = () => client.send(new glacier.GetVaultAccessPolicyCommand({ accountId, vaultName }));
      equal((await get()).policy, policy);
      const remove = client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId: made.parts }));
      equal((await refusal(remove)).split(':')[0], 'AccessDeniedException');
      await client.send(new glacier.DeleteVaultAccessPolicyCommand({ accountId, vaultName }));
      equal((await refusal(get())).split(':')[0], 'ResourceNotFoundException');
    },
  );

  await proofs.prove(
    'a vault lock: aborted, completed, and in force',
    ['InitiateVaultLock', 'GetVaultLock', 'AbortVaultLock', 'CompleteVaultLock'],
    async () => {
      const policy = { Policy: policyOf(VAULT_ARN, YOUNG) };
      const initiate = () => client.send(new glacier.InitiateVaultLockCommand({ accountId, vaultName, policy }));
      const abort = () => client.send(new glacier.AbortVaultLockCommand({ accountId, vaultName }));
      const get = () => client.send(new glacier.GetVaultLockCommand({ accountId, vaultName }));
      await initiate();
      await abort();
      equal((await refusal(get())).split(':')[0], 'ResourceNotFoundException');
      const { lockId } = await initiate();
      equal((await get()).State, 'InProgress');
      await client.send(new glacier.CompleteVaultLockCommand({ accountId, vaultName, lockId }));
      const { State, Policy } = await get();
      equal({ State, Policy }, { State: 'Locked', ...policy });
      equal((await refusal(abort())).split(':')[0], 'AccessDeniedException');
      const remove = client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId: made.parts }));
      equal((await refusal(remove)).split(':')[0], 'AccessDeniedException');
    },
  );

  await proofs.prove(
    'a data retrieval policy that is enforced',
    ['SetDataRetrievalPolicy', 'GetDataRetrievalPolicy'],
    async () => {
      const set = (Rules: glacier.DataRetrievalRule[]) =>
        client.send(new glacier.SetDataRetrievalPolicyCommand({ accountId, Policy: { Rules } }));
      const rule = { Strategy: 'BytesPerHour', BytesPerHour: MIB };
      await set([rule]);
      const { Policy } = await client.send(new glacier.GetDataRetrievalPolicyCommand({ accountId }));
      equal(
        Policy?.Rules?.map(({ Strategy, BytesPerHour }) => ({ Strategy, BytesPerHour })),
        [rule],
      );
      const jobParameters = { Type: 'archive-retrieval', ArchiveId: made.whole };
      const start = () => client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
      equal(
        await refusal(start()),
        'PolicyEnforcedException: InitiateJob request denied by current data retrieval policy.',
      );
      await set([{ Strategy: 'None' }]);
      await start();
    },
  );

  await proofs.prove(
    'buy capacity, two units at most',
    ['PurchaseProvisionedCapacity', 'ListProvisionedCapacity'],
    async () => {
      const purchase = () => client.send(new glacier.PurchaseProvisionedCapacityCommand({ accountId }));
      const list = async () =>
        (await client.send(new glacier.ListProvisionedCapacityCommand({ accountId }))).ProvisionedCapacityList;
      const bought = [(await purchase()).capacityId, (await purchase()).capacityId];
      equal(
        (await list())?.map(({ CapacityId }) => CapacityId),
        bought,
      );
      equal((await refusal(purchase())).split(':')[0], 'LimitExceededException');
      await world.advance('P32D');
      equal(await list(), []);
    },
  );

  await proofs.prove(
    'delete archives, twice, then the vault a day later',
    ['DeleteArchive', 'DeleteVault'],
    async () => {
      await world.advance('P365D');
      for (const archiveId of [made.whole, made.parts, made.parts]) {
        await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId }));
      }
      const remove = () => client.send(new glacier.DeleteVaultCommand({ accountId, vaultName }));
      equal(
        await refusal(remove()),
        `InvalidParameterValueException: Vault not empty or recently written to: ${VAULT_ARN}`,
      );
      await world.advance('P1D');
      await remove();
      const describe = client.send(new glacier.DescribeVaultCommand({ accountId, vaultName }));
      equal((await refusal(describe)).split(':')[0], 'ResourceNotFoundException');
    },
  );

  client.destroy();
  return proofs.all;
}

/** A topic with a subscriber; gone afterwards. */
async function withTopic(
  endpoint: string,
  use: (topic: string, messages: () => string[]) => Promise<void>,
): Promise<void> {
  const sns = new SNSClient({ endpoint, region: REGION, credentials: CREDENTIALS });
  const subscriber = await Listening.start();
  const deliveries = () => subscriber.requests.map(({ body }) => DELIVERY.parse(JSON.parse(body)));
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: `conformance-sdk-${process.pid}` }));
  try {
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: subscriber.url }));
    const token = () => deliveries().find(({ Token }) => Token !== undefined)?.Token;
    await until('the subscriber is asked', async () => token() !== undefined);
    await sns.send(new ConfirmSubscriptionCommand({ TopicArn, Token: token() }));
    await use(TopicArn, () => deliveries().flatMap(({ Type, Message }) => (Type === 'Notification' ? [Message] : [])));
  } finally {
    await sns.send(new DeleteTopicCommand({ TopicArn }));
    sns.destroy();
    await subscriber.close();
  }
}

async function bytesOf(output: glacier.GetJobOutputCommandOutput): Promise<Buffer> {
  return Buffer.from((await output.body?.transformToByteArray()) ?? []);
}

/** What a call is refused with; one that succeeds fails the proof. */
async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof glacier.GlacierServiceException) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error('the call was not refused');
}
