/** While the API is made, the same few hundred names are put into another form ten times each, by regular expressions: each is done once. */
import 'postgraphile';

export const RememberedNamesPlugin: GraphileConfig.Plugin = {
  name: 'RememberedNamesPlugin',
  version: '1.0.0',
  // Around what other plugins make of these.
  after: ['PgSimplifyInflectionPlugin', 'TransliterationPlugin'],
  inflection: {
    replace: {
      camelCase: remembering(), upperCamelCase: remembering(), coerceToGraphQLName: remembering(), singularize: remembering(), pluralize: remembering(),
    },
  },
};

type Form = (text: string) => string;

/** Each inflector is made once for each API, and what it makes of a text depends on the text alone. */
function remembering(): (previous: Form | undefined, preset: unknown, text: string) => string {
  const memories = new WeakMap<Form, Map<string, string>>();
  return (previous, _preset, text) => {
    const known = memories.get(previous!) ?? new Map<string, string>();
    memories.set(previous!, known);
    const form = known.get(text) ?? previous!(text);
    known.set(text, form);
    return form;
  };
}
