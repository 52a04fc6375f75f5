/** Every operation of the service through the AWS CLI. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
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

const VAULT = 'cli-vault';
const VAULT_ARN = `arn:aws:glacier:${REGION}:${ACCOUNT}:vaults/${VAULT}`;
const replySchema = z.record(z.string(), z.unknown());
const listSchema = z.array(replySchema);

/** One field of each element of a list. */
const each = (list: unknown, field: string) => listSchema.parse(list).map((element) => element[field]);

export async function withCli(world: ClientWorld, aws: string): Promise<Proof[]> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-cli-'));
  try {
    return await proofsIn(folder, world, aws);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function proofsIn(folder: string, world: ClientWorld, aws: string): Promise<Proof[]> {
  const proofs = new Proofs();
  const whole = pattern(2 * MIB + 4321, 'whole');
  const made = { whole: '', parts: '' };
  const file = async (name: string, bytes: Buffer | string) => {
    await writeFile(join(folder, name), bytes);
    return join(folder, name);
  };
  const run = (args: readonly string[]) =>
    execa(aws, ['glacier', '--endpoint-url', world.endpoint, '--output', 'json', ...args], {
      reject: false,
      env: {
        AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
        AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
        AWS_DEFAULT_REGION: REGION,
        AWS_CONFIG_FILE: join(folder, 'no-config'),
        AWS_SHARED_CREDENTIALS_FILE: join(folder, 'no-credentials'),
        AWS_MAX_ATTEMPTS: '1',
        AWS_PAGER: '',
      },
    });
  /** The reply of a command about the vault. */
  const glacier = async (command: string, ...args: string[]) => {
    const { exitCode, stdout, stderr } = await run([command, '--account-id=-', ...args]);
    if (exitCode !== 0) throw new Error(`aws glacier ${command}: ${stderr}`);
    return replySchema.parse(stdout === '' ? {} : JSON.parse(stdout));
  };
  const vault = (command: string, ...args: string[]) => glacier(command, '--vault-name', VAULT, ...args);
  /** The code and message that a command is refused with. */
  const refusal = async (command: string, ...args: string[]): Promise<string> => {
    const { exitCode, stderr } = await run([command, '--account-id=-', '--vault-name', VAULT, ...args]);
    if (exitCode === 0) throw new Error(`aws glacier ${command} was not refused`);
    return /\((\w+)\)/.exec(stderr)?.[1] ?? stderr;
  };

  await proofs.prove('create, describe and list vaults', ['CreateVault', 'DescribeVault', 'ListVaults'], async () => {
    equal((await vault('create-vault'))['location'], `/${ACCOUNT}/vaults/${VAULT}`);
    const described = await vault('describe-vault');
    equal([described['VaultARN'], described['NumberOfArchives']], [VAULT_ARN, 0]);
    await glacier('create-vault', '--vault-name', 'cli-empty');
    // Of pages of one: the CLI asks for the next by itself.
    equal(each((await glacier('list-vaults', '--page-size', '1'))['VaultList'], 'VaultName'), ['cli-empty', VAULT]);
  });

  await proofs.prove('delete an empty vault', ['DeleteVault'], async () => {
    await glacier('delete-vault', '--vault-name', 'cli-empty');
    const gone = await run(['describe-vault', '--account-id=-', '--vault-name', 'cli-empty']);
    equal(gone.stderr.includes('(ResourceNotFoundException)'), true, gone.stderr);
  });

  await proofs.prove('tag a vault', ['AddTagsToVault', 'ListTagsForVault', 'RemoveTagsFromVault'], async () => {
    await vault('add-tags-to-vault', '--tags', 'owner=acme,kind=calls');
    equal((await vault('list-tags-for-vault'))['Tags'], { owner: 'acme', kind: 'calls' });
    await vault('remove-tags-from-vault', '--tag-keys', 'kind');
    equal((await vault('list-tags-for-vault'))['Tags'], { owner: 'acme' });
  });

  await proofs.prove('upload an archive in one request', ['UploadArchive'], async () => {
    const body = await file('whole', whole);
    const reply = await vault('upload-archive', '--archive-description', 'in one', '--body', body);
    equal(reply['checksum'], treeHash(whole), 'tree hash');
    made.whole = String(reply['archiveId']);
    equal(
      await refusal('upload-archive', '--body', body, '--checksum', 'ab'.repeat(32)),
      'InvalidParameterValueException',
    );
  });

  await proofs.prove(
    'upload an archive in parts',
    ['InitiateMultipartUpload', 'UploadMultipartPart', 'ListParts', 'ListMultipartUploads', 'CompleteMultipartUpload'],
    async () => {
      const initiated = await vault(
        'initiate-multipart-upload',
        '--part-size',
        String(2 * MIB),
        '--archive-description',
        'in parts',
      );
      const id = `--upload-id=${initiated['uploadId']}`;
      for (const start of [2 * MIB, 0]) {
        const bytes = whole.subarray(start, start + 2 * MIB);
        const range = `bytes ${start}-${start + bytes.length - 1}/*`;
        const sent = await vault('upload-multipart-part', id, '--range', range, '--body', await file('part', bytes));
        equal(sent['checksum'], treeHash(bytes), 'tree hash of the part');
      }
      equal(each((await vault('list-parts', id))['Parts'], 'RangeInBytes'), [
        `0-${2 * MIB - 1}`,
        `${2 * MIB}-${whole.length - 1}`,
      ]);
      const uploads = (await vault('list-multipart-uploads'))['UploadsList'];
      equal(each(uploads, 'MultipartUploadId'), [initiated['uploadId']]);
      const done = await vault(
        'complete-multipart-upload',
        id,
        '--archive-size',
        String(whole.length),
        '--checksum',
        treeHash(whole),
      );
      equal(done['checksum'], treeHash(whole), 'tree hash of the archive');
      made.parts = String(done['archiveId']);
    },
  );

  await proofs.prove('abort an upload', ['AbortMultipartUpload'], async () => {
    const initiated = await vault('initiate-multipart-upload', '--part-size', String(MIB));
    await vault('abort-multipart-upload', `--upload-id=${initiated['uploadId']}`);
    equal((await vault('list-multipart-uploads'))['UploadsList'], []);
  });

  await proofs.prove(
    'set, read and remove the topic of a vault',
    ['SetVaultNotifications', 'GetVaultNotifications', 'DeleteVaultNotifications'],
    async () => {
      const config = { SNSTopic: `arn:aws:sns:${REGION}:${ACCOUNT}:topic`, Events: ['InventoryRetrievalCompleted'] };
      await vault('set-vault-notifications', '--vault-notification-config', JSON.stringify(config));
      equal((await vault('get-vault-notifications'))['vaultNotificationConfig'], config);
      await vault('delete-vault-notifications');
      equal(await refusal('get-vault-notifications'), 'ResourceNotFoundException');
    },
  );

  await proofs.prove(
    'retrieve an archive by job, whole and by range',
    ['InitiateJob', 'DescribeJob', 'ListJobs', 'GetJobOutput'],
    async () => {
      const parameters = {
        Type: 'archive-retrieval',
        ArchiveId: made.parts,
        Tier: 'Expedited',
        Description: 'for Ann',
      };
      const { jobId } = await vault('initiate-job', '--job-parameters', JSON.stringify(parameters));
      const id = `--job-id=${jobId}`;
      equal(await refusal('get-job-output', id, join(folder, 'early')), 'InvalidParameterValueException');
      await world.advance('PT5M');
      const described = await vault('describe-job', id);
      equal([described['StatusCode'], described['JobDescription']], ['Succeeded', 'for Ann']);
      const listed = (await vault('list-jobs', '--statuscode', 'Succeeded'))['JobList'];
      equal(each(listed, 'JobId'), [jobId]);
      const all = await vault('get-job-output', id, join(folder, 'all'));
      equal([all['status'], all['checksum'], all['archiveDescription']], [200, treeHash(whole), 'in parts']);
      equal(await readFile(join(folder, 'all')), whole, 'bytes');
      const part = await vault('get-job-output', id, '--range', `bytes=${2 * MIB}-`, join(folder, 'part'));
      equal([part['status'], part['checksum']], [206, treeHash(whole.subarray(2 * MIB))]);
      equal(await readFile(join(folder, 'part')), whole.subarray(2 * MIB), 'bytes of the range');
    },
  );

  await proofs.prove('an inventory after a day, as CSV', ['InitiateJob', 'GetJobOutput'], async () => {
    await world.advance('P1D');
    const { jobId } = await vault('initiate-job', '--job-parameters', '{"Type":"inventory-retrieval","Format":"CSV"}');
    await world.advance('PT4H');
    await vault('get-job-output', `--job-id=${jobId}`, join(folder, 'inventory.csv'));
    const lines = (await readFile(join(folder, 'inventory.csv'), 'utf8')).trim().split('\r\n').slice(1);
    const [, , , size, hash] = lines[0]?.split(',') ?? [];
    equal(
      [lines.map((line) => line.split(',')[0]), size, hash],
      [[made.whole, made.parts], String(whole.length), treeHash(whole)],
    );
  });

  await proofs.prove(
    'an access policy that denies',
    ['SetVaultAccessPolicy', 'GetVaultAccessPolicy', 'DeleteVaultAccessPolicy'],
    async () => {
      const policy = { Policy: policyOf(VAULT_ARN, {}) };
      await vault('set-vault-access-policy', '--policy', JSON.stringify(policy));
      equal((await vault('get-vault-access-policy'))['policy'], policy);
      equal(await refusal('delete-archive', `--archive-id=${made.whole}`), 'AccessDeniedException');
      await vault('delete-vault-access-policy');
      equal(await refusal('get-vault-access-policy'), 'ResourceNotFoundException');
    },
  );

  await proofs.prove(
    'a vault lock: aborted, completed, and in force',
    ['InitiateVaultLock', 'GetVaultLock', 'AbortVaultLock', 'CompleteVaultLock'],
    async () => {
      const policy = JSON.stringify({ Policy: policyOf(VAULT_ARN, YOUNG) });
      await vault('initiate-vault-lock', '--policy', policy);
      await vault('abort-vault-lock');
      equal(await refusal('get-vault-lock'), 'ResourceNotFoundException');
      const { lockId } = await vault('initiate-vault-lock', '--policy', policy);
      equal((await vault('get-vault-lock'))['State'], 'InProgress');
      await vault('complete-vault-lock', `--lock-id=${lockId}`);
      equal((await vault('get-vault-lock'))['State'], 'Locked');
      equal(await refusal('abort-vault-lock'), 'AccessDeniedException');
      equal(await refusal('delete-archive', `--archive-id=${made.whole}`), 'AccessDeniedException');
    },
  );

  await proofs.prove(
    'a data retrieval policy that is enforced',
    ['SetDataRetrievalPolicy', 'GetDataRetrievalPolicy'],
    async () => {
      const rules = [{ Strategy: 'BytesPerHour', BytesPerHour: 1 }];
      await glacier('set-data-retrieval-policy', '--policy', JSON.stringify({ Rules: rules }));
      equal((await glacier('get-data-retrieval-policy'))['Policy'], { Rules: rules });
      const parameters = JSON.stringify({ Type: 'archive-retrieval', ArchiveId: made.whole });
      equal(await refusal('initiate-job', '--job-parameters', parameters), 'PolicyEnforcedException');
      await glacier('set-data-retrieval-policy', '--policy', '{"Rules":[{"Strategy":"FreeTier"}]}');
      await vault('initiate-job', '--job-parameters', parameters);
    },
  );

  await proofs.prove('buy capacity', ['PurchaseProvisionedCapacity', 'ListProvisionedCapacity'], async () => {
    const { capacityId } = await glacier('purchase-provisioned-capacity');
    const units = (await glacier('list-provisioned-capacity'))['ProvisionedCapacityList'];
    equal(each(units, 'CapacityId'), [capacityId]);
  });

  await proofs.prove('delete archives, then the vault a day later', ['DeleteArchive', 'DeleteVault'], async () => {
    await world.advance('P366D');
    for (const archive of [made.whole, made.parts]) await vault('delete-archive', `--archive-id=${archive}`);
    equal(await refusal('delete-vault'), 'InvalidParameterValueException');
    await world.advance('P1D');
    await vault('delete-vault');
    equal(await refusal('describe-vault'), 'ResourceNotFoundException');
  });

  return proofs.all;
}
