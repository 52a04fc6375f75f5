/** The same policies as Terraform, and the lists of actions that the module in `infra/terraform` is made with. */
import type { IamScope, PolicyDocument } from './policy.ts';
import { scopeName } from './policy.ts';
import { type BackendName, neverOf, ROLE_NAMES, ROLES, roleActions } from './roles.ts';

/** One managed policy for each scope, as HCL. */
export function terraformPolicies(
  policies: readonly { readonly scope: IamScope; readonly document: PolicyDocument }[],
): string {
  const blocks = policies.map(({ scope, document }) => {
    const name = scopeName(scope);
    // A label that begins with a letter and holds letters, digits, `_` and `-`: an escaped owner does.
    const json = inTemplate(JSON.stringify(document, null, 2)).replaceAll('\n', '\n  ');
    return [
      `resource "aws_iam_policy" "${name}" {`,
      `  name        = "${name}"`,
      `  description = "Moraine: ${ROLES[scope.role].about}"`,
      `  policy = jsonencode(${json})`,
      '}',
    ].join('\n');
  });
  return `${blocks.join('\n\n')}\n`;
}

/** In a string of HCL `${` and `%{` begin an expression. */
function inTemplate(text: string): string {
  // A function, for `$$` in a replacement would be one dollar.
  return text.replace(/[$%](?=\{)/g, (sign) => sign + sign);
}

/** `infra/terraform/actions.tf`: written by `scripts/write-terraform.ts`, and compared by a test. */
export function terraformActions(): string {
  const backend = (name: BackendName) =>
    ROLE_NAMES.map((role) => {
      const options = { lock: true, kms: true, make: name === 'glacier' };
      const { account, vault, object, storageKey } = roleActions(role, name, options);
      const lists = { account, vault, object, storage_key: storageKey, never: neverOf(role, name) };
      return `      ${role} = {\n${Object.entries(lists)
        .map(([key, actions]) => list(key, actions, 8))
        .join('\n')}\n      }`;
    }).join('\n');
  const keys = ROLE_NAMES.map((role) => {
    const { inContext, wrapping } = ROLES[role];
    return `      ${role} = {\n${list('in_context', inContext, 8)}\n${list('look', wrapping, 8)}\n      }`;
  }).join('\n');
  return [
    '# Written by scripts/write-terraform.ts from src/iam/roles.ts and the tables of src/vault. Do not edit.',
    'locals {',
    '  actions = {',
    `    glacier = {\n${backend('glacier')}\n    }`,
    `    s3 = {\n${backend('s3')}\n    }`,
    `    wrapping = {\n${keys}\n    }`,
    '  }',
    '}',
    '',
  ].join('\n');
}

function list(name: string, actions: readonly string[], indent: number): string {
  const space = ' '.repeat(indent);
  if (actions.length === 0) return `${space}${name} = []`;
  return `${space}${name} = [\n${actions.map((action) => `${space}  "${action}",`).join('\n')}\n${space}]`;
}
