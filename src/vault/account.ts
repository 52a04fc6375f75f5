/** Who we are for AWS, and what IAM says that a principal may do. Asks only: nothing here can change anything. */
import { IAMClient, IAMServiceException, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient, STSServiceException } from '@aws-sdk/client-sts';
import { MoraineError } from '../errors.ts';

export interface SimulatedCalls {
  readonly actions: readonly string[];
  /** ARNs without wildcards, or `*` alone. */
  readonly resources: readonly string[];
  readonly context: Readonly<Record<string, string>>;
}

export interface RefusedCall {
  readonly action: string;
  readonly resource: string;
}

export interface AccountPort {
  /** ARN of the user or role that the process has the credentials of. Throws VAULT_REFUSED, VAULT_UNAVAILABLE. */
  caller(): Promise<string>;
  /** Of these calls those that the policies of the principal do not allow. Throws VAULT_REFUSED where we may not ask, VAULT_UNAVAILABLE. */
  refused(principal: string, calls: SimulatedCalls): Promise<readonly RefusedCall[]>;
}

const MAX_ATTEMPTS = 3;
const CONNECT_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 20_000;

/** IAM has one address for all regions; STS has one in each. */
export class AwsAccount implements AccountPort {
  readonly #iam: IAMClient;
  readonly #sts: STSClient;

  constructor(region: string, endpoint?: string) {
    const options = {
      region,
      ...(endpoint === undefined
        ? {}
        : { endpoint, credentials: { accessKeyId: 'moraine', secretAccessKey: 'local' } }),
      maxAttempts: MAX_ATTEMPTS,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        throwOnRequestTimeout: true,
      },
    };
    this.#iam = new IAMClient(options);
    this.#sts = new STSClient(options);
  }

  async caller(): Promise<string> {
    const { Arn } = await asking('ask AWS who we are', () => this.#sts.send(new GetCallerIdentityCommand({})));
    if (Arn === undefined) throw new MoraineError('VAULT_REFUSED', 'AWS did not say who we are.');
    return principalOf(Arn);
  }

  async refused(principal: string, { actions, resources, context }: SimulatedCalls): Promise<readonly RefusedCall[]> {
    const refused: RefusedCall[] = [];
    let Marker: string | undefined;
    do {
      const page = await asking(`ask IAM what ${principal} may do`, () =>
        this.#iam.send(
          new SimulatePrincipalPolicyCommand({
            PolicySourceArn: principal,
            ActionNames: [...actions],
            ResourceArns: [...resources],
            ContextEntries: Object.entries(context).map(([ContextKeyName, value]) => {
              return { ContextKeyName, ContextKeyType: 'string' as const, ContextKeyValues: [value] };
            }),
            Marker,
          }),
        ),
      );
      for (const {
        EvalActionName,
        EvalResourceName,
        EvalDecision,
        ResourceSpecificResults,
      } of page.EvaluationResults ?? []) {
        const action = EvalActionName ?? '';
        const each = (ResourceSpecificResults ?? []).map(
          (one) => [one.EvalResourceName, one.EvalResourceDecision] as const,
        );
        const all = each.length > 0 ? each : [[EvalResourceName, EvalDecision] as const];
        for (const [resource = '*', decision] of all) if (decision !== 'allowed') refused.push({ action, resource });
      }
      Marker = page.IsTruncated === true ? page.Marker : undefined;
    } while (Marker !== undefined);
    return refused;
  }

  close(): void {
    this.#iam.destroy();
    this.#sts.destroy();
  }
}

/** The role behind a session: IAM knows the one and not the other. A role with a path has lost it in its session's ARN. */
export function principalOf(arn: string): string {
  const session = /^arn:([\w-]+):sts::(\d{12}):assumed-role\/([^/]+)\//.exec(arn);
  return session === null ? arn : `arn:${session[1]}:iam::${session[2]}:role/${session[3]}`;
}

async function asking<Output>(what: string, call: () => Promise<Output>): Promise<Output> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isRefusal =
      (error instanceof IAMServiceException || error instanceof STSServiceException) &&
      (error.$metadata.httpStatusCode ?? 500) < 500;
    const code = isRefusal || error.name === 'CredentialsProviderError' ? 'VAULT_REFUSED' : 'VAULT_UNAVAILABLE';
    throw new MoraineError(code, `Could not ${what}: ${error.name}.`, { cause: error });
  }
}
