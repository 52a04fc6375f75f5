/** Other names for restored collections, with the patterns of mongorestore. */
import { expect, test } from 'vitest';
import { renameBucket, renameNamespaces } from '../../src/cli/rename-namespaces.ts';
import { id } from '../../src/ids.ts';

test.each([
  [['support.*'], ['restored.*'], 'support.chats', 'restored.chats'],
  [['support.*'], ['restored.*'], 'support.chats.archived', 'restored.chats.archived'],
  [['support.*'], ['restored.*'], 'supported.chats', 'supported.chats'],
  [['*.chats'], ['*.old_chats'], 'support.chats', 'support.old_chats'],
  [['$db$.$name$_docs'], ['$name$.$db$'], 'shop.orders_docs', 'orders.shop'],
  [['a.b'], ['c.d'], 'a.b', 'c.d'],
  [['a.b'], ['c.d'], 'axb', 'axb'],
  [['a.\\*'], ['c.d'], 'a.*', 'c.d'],
  [['a.\\*'], ['c.d'], 'a.x', 'a.x'],
  [['a.*', '*.*'], ['first.*', 'second.*_*'], 'a.b', 'first.b'],
  [['a.*', '*.*'], ['first.*', 'second.*_*'], 'b.c', 'second.b_c'],
  [['*.*'], ['*_2.*'], 'a.b.c', 'a_2.b.c'],
  [[], [], 'a.b', 'a.b'],
])('%j to %j: %s becomes %s', (from, to, namespace, expected) => {
  expect(renameNamespaces(from, to)(id.namespace(namespace))).toBe(expected);
});

test.each([
  ['one without its other', ['a.*'], []],
  ['other numbers of *', ['a.*'], ['b.c']],
  ['a variable that is not known', ['a.$x$'], ['b.$y$']],
  ['a variable twice', ['$x$.$x$'], ['b.$x$']],
  ['half a variable', ['a.$x'], ['b.c']],
])('refused: %s', (_case, from, to) => {
  expect(() => renameNamespaces(from, to)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test.each(['noname', 'a.', '.b', 'a.system.users', 'a b.c'])('refused when it names no collection: %s', (to) => {
  expect(() => renameNamespaces(['a.b'], [to])(id.namespace('a.b'))).toThrow(
    expect.objectContaining({ code: 'USAGE' }),
  );
});

test('a GridFS bucket keeps its two collections together, or is refused', () => {
  expect(renameBucket(renameNamespaces(['a.*'], ['b.*']), 'a.calls')).toBe('b.calls');
  const apart = renameNamespaces(['a.calls.files'], ['b.calls.files']);
  expect(() => renameBucket(apart, 'a.calls')).toThrow(expect.objectContaining({ code: 'USAGE' }));
});
