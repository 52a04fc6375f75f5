/**
 * Leaves out mutants of words that only people read: the text of an error (its code and class are what code and tests
 * go by), and the messages and descriptions of the policy schema.
 */
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** What this needs of Babel's syntax tree, which Stryker hands over without a type. */
interface Place {
  readonly key: string | number | null;
  readonly listKey?: string;
  readonly node: { readonly type: string; readonly callee?: { readonly name?: string } };
  readonly parent?: {
    readonly type: string;
    readonly callee?: { readonly name?: string };
    readonly key?: { readonly name?: string };
  };
}

const TEXT_PROPERTIES = new Set(['error', 'hint']);

export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'messages', { shouldIgnore })];

function shouldIgnore(place: Place): string | undefined {
  const { parent } = place;
  if (parent?.type === 'NewExpression' && place.listKey === 'arguments') {
    const name = parent.callee?.name;
    if (name === 'MoraineError' && place.key === 1) return 'the text of an error is for people; tests go by its code';
    if ((name === 'Error' || name === 'RangeError') && place.key === 0) return 'the text of an error is for people';
  }
  if (parent?.type === 'ObjectProperty' && place.key === 'value' && TEXT_PROPERTIES.has(parent.key?.name ?? '')) {
    return 'a message or hint is for people';
  }
  if (parent?.type === 'CallExpression' && parent.callee?.name === 'strictly') return 'a message is for people';
  return undefined;
}
