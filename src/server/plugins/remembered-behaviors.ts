/**
 * While the API is made, PostGraphile asks some ten thousand times whether a table, column or function "matches a behavior", and
 * parses the same few strings anew each time: a third of the whole. Here what such strings came to is remembered by the strings.
 */
import 'postgraphile';

interface Resolved {
  behaviorString: string;
  stack: readonly unknown[];
}

interface Behavior {
  entityMatches(entityType: string, entity: unknown, filter: string): boolean | undefined;
  stringMatches(behaviorString: string, filter: string): boolean | undefined;
  getBehaviorForEntity(entityType: string, entity: unknown): Resolved;
  getPreferencesAppliedBehaviors(entityType: string, inferred: Resolved, override: Resolved): Resolved;
}

interface Memory {
  /** By the behavior, then by the filter: what is long is hashed once, and no text is put together to look something up. */
  matches: Map<string, Map<string, boolean | undefined>>;
  /** By the entity type: filters whose registration was checked. */
  checked: Map<string, Set<string>>;
  applied: Map<string, string>;
}

const remembering = new WeakSet<Behavior>();

export const RememberedBehaviorsPlugin: GraphileConfig.Plugin = {
  name: 'RememberedBehaviorsPlugin',
  version: '1.0.0',
  schema: {
    hooks: {
      init: {
        before: ['*'],
        callback(types, build) {
          // The object itself is frozen by now; what it inherits from is not.
          const prototype = Object.getPrototypeOf(build.behavior) as Behavior;
          if (!remembering.has(prototype)) remember(prototype);
          remembering.add(prototype);
          return types;
        },
      },
    },
  },
};

function remember(prototype: Behavior): void {
  const { entityMatches, getPreferencesAppliedBehaviors } = prototype;
  const memories = new WeakMap<Behavior, Memory>();
  const memoryOf = (behavior: Behavior): Memory => {
    const memory = memories.get(behavior) ?? { matches: new Map(), checked: new Map(), applied: new Map() };
    memories.set(behavior, memory);
    return memory;
  };

  prototype.entityMatches = function rememberedMatches(entityType, entity, filter) {
    const memory = memoryOf(this);
    const { behaviorString } = this.getBehaviorForEntity(entityType, entity);
    const matches = within(memory.matches, behaviorString, () => new Map());
    const checked = within(memory.checked, entityType, () => new Set());
    if (!checked.has(filter)) {
      checked.add(filter);
      matches.set(filter, entityMatches.call(this, entityType, entity, filter));
    } else if (!matches.has(filter)) {
      matches.set(filter, this.stringMatches(behaviorString, filter));
    }
    return matches.get(filter);
  };

  prototype.getPreferencesAppliedBehaviors = function rememberedBehaviors(entityType, inferred, override) {
    const { applied } = memoryOf(this);
    const question = `${entityType}\n${inferred.behaviorString}\n${override.behaviorString}`;
    const known = applied.get(question);
    if (known !== undefined) return { behaviorString: known, stack: [...inferred.stack, ...override.stack], toString: () => known };
    const result = getPreferencesAppliedBehaviors.call(this, entityType, inferred, override);
    applied.set(question, result.behaviorString);
    return result;
  };
}

function within<Part>(parts: Map<string, Part>, name: string, make: () => Part): Part {
  let part = parts.get(name);
  if (part === undefined) parts.set(name, part = make());
  return part;
}
