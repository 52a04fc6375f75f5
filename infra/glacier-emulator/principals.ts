import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ACCOUNT } from './identifiers.ts';
import { type PolicyDocument, readIdentityPolicy } from './policy-document.ts';

export type Credentials = { accessKeyId: string; secretAccessKey: string };

/** Who may call: an access key, and the name that policies know its holder by. */
export type Principal = Credentials & {
  arn: string;
  account: string;
  /** What the user's own policy allows. Null: everything, as for an account's owner. */
  policy: PolicyDocument | null;
};

const IAM_ARN = /^arn:aws:(?:iam|sts)::(\d{12}):(?:root|(?:user|assumed-role|role)\/[\w+=,.@/-]+)$/;

const usersSchema = z.array(
  z.strictObject({
    arn: z.string().regex(IAM_ARN, 'must be the ARN of a user, a role or an account'),
    accessKeyId: z.string().min(1),
    secretAccessKey: z.string().min(1),
    policy: z.unknown().optional(),
  }),
);

/** The owner of the account that the emulator keeps: may do all that no policy of a vault denies. */
export function accountOwner(credentials: Credentials): Principal {
  return { arn: `arn:aws:iam::${ACCOUNT}:root`, account: ACCOUNT, ...credentials, policy: null };
}

/** Reads the file of `--users`: `[{ arn, accessKeyId, secretAccessKey, policy? }]`. Throws a text that says what is wrong. */
export async function readUsers(path: string, actions: readonly string[]): Promise<Principal[]> {
  const parsed = usersSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success) throw new Error(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data.map(({ policy, ...user }) => ({
    ...user,
    account: IAM_ARN.exec(user.arn)?.[1] ?? '',
    policy: policy === undefined ? null : readIdentityPolicy(policy, actions),
  }));
}
