/** `moraine iam`: least-privilege policies of AWS for the roles of this installation, from moraine.yaml. */
import { type Command, Option } from 'commander';
import { MoraineError } from '../errors.ts';
import { iamInput } from '../iam/input.ts';
import {
  allScopes,
  type IamInput,
  type IamScope,
  MANAGED_POLICY_CHARACTERS,
  rolePolicy,
  scopeName,
} from '../iam/policy.ts';
import { ROLE_NAMES, ROLES, type RoleName } from '../iam/roles.ts';
import { terraformPolicies } from '../iam/terraform.ts';
import { id } from '../ids.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { count } from './words.ts';

interface IamOptions {
  readonly role?: RoleName;
  readonly vault?: string;
  readonly owner?: string;
  readonly format: 'json' | 'terraform';
  readonly bucketsExist?: true;
}

export function iamCommand(): Command {
  return newCommand('iam', {
    description: [
      'Print least-privilege policies of AWS IAM for vaults and keys of moraine.yaml. Four roles: the archiver',
      'writes, the purger takes inventories and deletes, a reader retrieves and opens the archives of one owner,',
      'the auditor lists. Without --role all of them. Asks AWS nothing and changes nothing.',
    ].join('\n'),
    examples: [
      ['moraine iam', 'every role'],
      ['moraine iam --role archiver --vault cold', 'one policy, as AWS takes it'],
      ['moraine iam --role reader --owner acme', 'for an administrator of acme, with kms:Decrypt in its context'],
      ['moraine iam --format terraform', 'the same as resources of Terraform'],
    ],
  })
    .addOption(new Option('--role <role>', 'of one role only').choices([...ROLE_NAMES]))
    .option('--vault <vault>', 'for one vault of moraine.yaml only')
    .option('--owner <owner>', 'for the archives of one owner only')
    .addOption(new Option('--format <format>', 'how').choices(['json', 'terraform']).default('json'))
    .option('--buckets-exist', 'somebody else makes the buckets: no right to make them')
    .action(
      acting<IamOptions>(async (session, _args, options) => {
        const { config, output } = session;
        const input = await inputOf(session, options);
        const owner = options.owner === undefined ? null : id.owner(options.owner);
        const scopes = scopesOf(input, options.role, owner);
        const policies = scopes.map((scope) => ({ scope, document: rolePolicy(input, scope) }));
        const long = policies.filter(({ document }) => JSON.stringify(document).length > MANAGED_POLICY_CHARACTERS);
        for (const { scope } of long) {
          const limit = count(MANAGED_POLICY_CHARACTERS);
          // Not among what is printed: that goes to AWS as it is.
          process.stderr.write(
            `${scopeName(scope)} is longer than the ${limit} characters of a managed policy: split it by --vault or --owner.\n`,
          );
        }
        const listed = policies.map(({ scope, document }) => ({
          name: scopeName(scope),
          ...scope,
          about: ROLES[scope.role].about,
          policy: document,
        }));
        // One policy is printed as AWS takes it.
        const [only] = policies;
        const shown =
          policies.length === 1 && only !== undefined
            ? only.document
            : { environment: config.environment, policies: listed };
        output.result(shown, () =>
          (options.format === 'terraform' ? terraformPolicies(policies) : JSON.stringify(shown, null, 2))
            .trimEnd()
            .split('\n'),
        );
        return EXIT.done;
      }),
    );
}

function scopesOf(input: IamInput, role: RoleName | undefined, owner: IamScope['owner']): readonly IamScope[] {
  if (role !== undefined) return [{ role, owner }];
  if (owner === null) return allScopes(input);
  return ROLE_NAMES.map((each) => ({ role: each, owner }));
}

async function inputOf(session: Session, options: IamOptions): Promise<IamInput> {
  const { config } = session;
  const vaults = new Map([...config.vaults].filter(([key]) => options.vault === undefined || key === options.vault));
  if (vaults.size === 0) {
    throw new MoraineError('USAGE', `moraine.yaml has no vault ${options.vault}.`, {
      hint: `Name one of ${[...config.vaults.keys()].join(', ')}.`,
    });
  }
  // Names of vaults, and the context of keys, hold the installation's id, which the ledger knows.
  const { installation } = await session.openApp();
  return iamInput(config, installation.id, { vaults, bucketsExist: options.bucketsExist === true });
}
