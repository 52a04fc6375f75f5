import { expect, test } from 'vitest';
import { ROLES } from '../../src/iam/roles.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { type ActRole, METHOD_ROLES, vaultByRoles } from '../../src/vault/role-vault.ts';
import type { VaultMethod } from '../../src/vault/vault-actions.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const ROLE_OF = { archive: 'archiver', purge: 'purger', read: 'reader' } as const;
const METHODS = Object.keys(METHOD_ROLES).filter((name): name is VaultMethod => Object.hasOwn(METHOD_ROLES, name));

test.each(METHODS)('%s is a method of the role that it is called with', (method) => {
  expect(ROLES[ROLE_OF[METHOD_ROLES[method]]].methods).toContain(method);
});

test('each call goes to the vault of its role, with all that it needs of itself; what asks nobody to any', async () => {
  const { vault } = await MemoryWorld.open();
  const called: string[] = [];
  const of = (role: ActRole): VaultPort =>
    new Proxy(vault, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (Object.hasOwn(METHOD_ROLES, name)) called.push(`${role} ${String(name)}`);
        return value.bind(target);
      },
    });
  const port = vaultByRoles({ archive: of('archive'), purge: of('purge'), read: of('read') });
  for (const method of METHODS) expect(typeof port[method]).toBe('function');
  expect(called).toEqual(METHODS.map((method) => `${METHOD_ROLES[method]} ${method}`));
  expect(port.backend).toBe(vault.backend);
  expect(await port.serverTime()).toBeInstanceOf(Date);
});
