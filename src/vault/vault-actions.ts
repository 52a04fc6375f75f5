/**
 * Which calls of the service each method of the port makes, and which IAM actions those calls need: data, so that
 * least-privilege policies are made from it. The contract suite records what the SDK really sends and compares.
 */
import type { VaultPort } from './port.ts';

/** The methods that go out to the service. */
export type VaultMethod = Exclude<
  keyof VaultPort,
  'backend' | 'smallestPartBytes' | 'guards' | 'locate' | 'estimateRetrieval'
>;

/** What an IAM statement names as its resource. */
export type ActionScope =
  /** `*`: the call is about no one resource. */
  | 'account'
  /** The Glacier vault, or the bucket. */
  | 'vault'
  /** Objects of the bucket. */
  | 'object';

export interface CallActions {
  readonly scope: ActionScope;
  readonly actions: readonly string[];
  /** Needed too where archives are locked until their date. */
  readonly withLock?: readonly string[];
  /** Needed too, on the key, where the bucket is encrypted with one of KMS. */
  readonly withKms?: readonly string[];
  /** Needed too where a bucket or vault is to be made by Moraine, and not by Terraform. */
  readonly onlyToMake?: true;
}

/** Calls by method. `rarely`: only after a lost reply, a race or a refusal; without the rights for them it stops, and nothing is harmed. */
export type MethodCalls = Readonly<
  Record<VaultMethod, { readonly calls: readonly string[]; readonly rarely?: readonly string[] }>
>;

export interface BackendActions {
  readonly methods: MethodCalls;
  /** By the SDK's name of the command without `Command`. */
  readonly calls: Readonly<Record<string, CallActions>>;
}

/** The IAM actions that these methods need, each with its scope, in order of the alphabet. */
export function actionsFor(
  backend: BackendActions,
  methods: readonly VaultMethod[],
  options: { readonly lock: boolean; readonly kms: boolean; readonly make: boolean },
): readonly { readonly scope: ActionScope | 'kms-key'; readonly actions: readonly string[] }[] {
  const found = new Map<ActionScope | 'kms-key', Set<string>>();
  const add = (scope: ActionScope | 'kms-key', actions: readonly string[] = []) => {
    const known = found.get(scope) ?? new Set<string>();
    for (const action of actions) known.add(action);
    if (known.size > 0) found.set(scope, known);
  };
  for (const method of methods) {
    const { calls, rarely = [] } = backend.methods[method];
    for (const name of [...calls, ...rarely]) {
      const call = backend.calls[name];
      if (call === undefined || (call.onlyToMake === true && !options.make)) continue;
      add(call.scope, call.actions);
      if (options.lock) add(call.scope, call.withLock);
      if (options.kms) add('kms-key', call.withKms);
    }
  }
  return [...found.entries()]
    .map(([scope, actions]) => ({ scope, actions: [...actions].sort() }))
    .sort((a, b) => (a.scope < b.scope ? -1 : 1));
}
