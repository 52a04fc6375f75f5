/**
 * What one module imports and touches, told by a real parser: text in, facts out. Comments and strings are no imports,
 * and an import is one however it is written: `import`, `import type`, `export … from`, `import()`, `typeof import()`,
 * `require()`.
 */
import { parseSync } from 'vite';

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type`: erased before the program runs. (`import { type A }` is not: the module is still loaded.) */
  readonly isTypeOnly: boolean;
  /** `*` for a whole module, `default` for its default export. */
  readonly names: readonly string[];
}

export interface Use {
  /**
   * `process.env.HOME` for reading a member path, `new Date()` for a construction without arguments, `f()` for a call of
   * a name, `.issue()` for a call of any member of that name.
   */
  readonly what: string;
  readonly line: number;
}

export interface ModuleFacts {
  readonly imports: readonly Import[];
  readonly uses: readonly Use[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [field: string]: unknown;
}

/** Throws when the text does not parse: a file that cannot be read must not pass for one without imports. */
export function scanModule(file: string, text: string): ModuleFacts {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const starts = lineStarts(text);
  const imports: Import[] = [];
  const uses: Use[] = [];
  visit(program, (node) => {
    const line = lineAt(starts, node.start);
    const found = importOf(node);
    if (found !== null) imports.push({ ...found, line });
    for (const what of usesOf(node)) uses.push({ what, line });
  });
  return { imports, uses };
}

function importOf(node: Node): Omit<Import, 'line'> | null {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration': {
      const specifier = textOf(node['source']);
      if (specifier === null) return null;
      const members = nodesOf(node['specifiers']);
      const isTypeOnly = node['importKind'] === 'type' || node['exportKind'] === 'type';
      const names = node.type === 'ExportAllDeclaration' ? ['*'] : members.map(importedName);
      return { specifier, isTypeOnly, names };
    }
    case 'ImportExpression':
      return { specifier: textOf(node['source']) ?? '(computed)', isTypeOnly: false, names: ['*'] };
    case 'TSImportType':
      return { specifier: textOf(node['source']) ?? '(computed)', isTypeOnly: true, names: ['*'] };
    case 'CallExpression': {
      if (!isNode(node['callee']) || node['callee']['name'] !== 'require') return null;
      const [argument] = nodesOf(node['arguments']);
      return { specifier: textOf(argument) ?? '(computed)', isTypeOnly: false, names: ['*'] };
    }
    default:
      return null;
  }
}

function importedName(member: Node): string {
  if (member.type === 'ImportNamespaceSpecifier') return '*';
  if (member.type === 'ImportDefaultSpecifier') return 'default';
  const name = member['imported'] ?? member['local'];
  return isNode(name) ? String(name['name'] ?? name['value']) : '';
}

function usesOf(node: Node): string[] {
  switch (node.type) {
    case 'MemberExpression':
      return pathOf(node) ?? [];
    case 'NewExpression': {
      const path = pathOf(node['callee'])?.[0];
      return path !== undefined && nodesOf(node['arguments']).length === 0 ? [`new ${path}()`] : [];
    }
    case 'CallExpression': {
      const callee = node['callee'];
      if (!isNode(callee)) return [];
      if (callee.type === 'Identifier') return [`${callee['name']}()`];
      const member = callee.type === 'MemberExpression' ? memberName(callee) : null;
      return member === null ? [] : [`.${member}()`];
    }
    case 'VariableDeclarator': {
      // `const { env } = process` reads `process.env`.
      const [pattern, path] = [node['id'], pathOf(node['init'])?.[0]];
      if (!isNode(pattern) || pattern.type !== 'ObjectPattern' || path === undefined) return [];
      return nodesOf(pattern['properties']).flatMap(({ key }) => (isNode(key) ? [`${path}.${nameOf(key)}`] : []));
    }
    default:
      return [];
  }
}

/** `['a.b.c']` for a chain of members that begins with a name; null for any other expression. */
function pathOf(node: unknown): [string] | null {
  if (!isNode(node)) return null;
  if (node.type === 'Identifier') return [String(node['name'])];
  if (node.type === 'ChainExpression') return pathOf(node['expression']);
  if (node.type !== 'MemberExpression') return null;
  const [object, member] = [pathOf(node['object']), memberName(node)];
  if (object === null || member === null) return null;
  return object[0] === 'globalThis' ? [member] : [`${object[0]}.${member}`];
}

function memberName(node: Node): string | null {
  const property = node['property'];
  if (!isNode(property)) return null;
  return node['computed'] === true ? textOf(property) : nameOf(property);
}

function nameOf(node: Node): string {
  return String(node['name'] ?? node['value']);
}

function textOf(node: unknown): string | null {
  return isNode(node) && node.type === 'Literal' && typeof node['value'] === 'string' ? node['value'] : null;
}

function visit(value: unknown, look: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const one of value) visit(one, look);
  } else if (typeof value === 'object' && value !== null) {
    if (isNode(value)) look(value);
    for (const field of Object.values(value)) visit(field, look);
  }
}

function nodesOf(value: unknown): Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function lineAt(starts: readonly number[], offset: number): number {
  const next = starts.findIndex((start) => start > offset);
  return next < 0 ? starts.length : next;
}
