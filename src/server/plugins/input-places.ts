/** Refused values are told with the name of their field. */
import 'postgraphile';
import { notePlaces } from '../input-places.ts';

export const InputPlacesPlugin: GraphileConfig.Plugin = {
  name: 'InputPlacesPlugin',
  version: '1.0.0',
  grafast: {
    middleware: {
      async execute(next, { args }) {
        const result = await next();
        if (result !== null && typeof result === 'object' && 'errors' in result && result.errors) notePlaces(result.errors, args.variableValues);
        return result;
      },
    },
  },
};
